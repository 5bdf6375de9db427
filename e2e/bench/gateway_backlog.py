"""`gateway-backlog-memory`: what a backlog costs in memory while the brokers are away."""

from __future__ import annotations

import json

from e2e.bench.gateway import STATUS, TOPIC, broker, gateway
from e2e.bench.processes import free_port
from e2e.bench.row import Measurement, Row
from e2e.kit.eventually import eventually
from e2e.providers.progress import say

_BATCH = 1000
_FEW = 10_000
_MANY = 100_000


def _measure() -> Measurement:
    port = free_port()
    line = json.dumps({"topic": TOPIC, "payload": STATUS, "qos": 1}) + "\n"
    with gateway(port) as made:
        with broker(made.folder, port):
            eventually(made.linked, within=30, what="the gateway is connected")
        eventually(lambda: not made.linked(), within=30, what="the broker is away")
        empty, memory = made.memory(), []
        for goal in (_FEW, _MANY):
            while made.backlog() < goal:
                results = made.post(
                    "/v1/publish/batch", line.encode() * _BATCH, "application/x-ndjson"
                )
                if not all('"stored"' in result for result in results):
                    raise RuntimeError("not stored")
            memory.append(made.memory())
            say(f"    {goal} messages: {memory[-1]:.1f} MiB (empty: {empty:.1f})")
        few, many = memory
        with broker(made.folder, port):
            eventually(lambda: made.backlog() == 0, within=300, every=0.2, what="all published")
        say(f"    published: {made.memory():.1f} MiB")
        return Measurement(many, few, note=f"empty: {empty:.1f} MiB")


ROW = Row(
    id="gateway-backlog-memory",
    what=f"resident memory with {_MANY} messages waiting for a broker that is away",
    unit="MiB",
    peer=f"with {_FEW}",
    goal=1.1,
    measure=_measure,
    less_is_better=True,
)
