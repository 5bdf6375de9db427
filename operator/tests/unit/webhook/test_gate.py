"""The gate and the nodes: who has just started is let in slowly."""

from __future__ import annotations

import asyncio

import pytest

from liveconnect.api.operands import Connects
from liveconnect.webhook import gate as module
from liveconnect.webhook.adapters.brokers import Vitals
from liveconnect.webhook.gate import Gate
from tests.unit.webhook.test_revoked import token

RATE = 100
BURST = RATE // 2
NODE = "demo-subscriber-0"


class OneNode:
    """Says for how long it has been up, and is told when somebody looked."""

    def __init__(self, uptime_seconds: float) -> None:
        self.looked = asyncio.Event()
        self._uptime_ms = int(uptime_seconds * 1000)

    async def vitals(self) -> tuple[Vitals, ...]:
        self.looked.set()
        nodes = ("VerneMQ@demo-subscriber-0", "VerneMQ@demo-publisher-0")
        return tuple(Vitals(node, "10.0.0.1", 0, self._uptime_ms, 0) for node in nodes)

    def pod_of(self, node: str) -> str | None:
        pod = node.partition("@")[2]
        return pod if pod.startswith("demo-subscriber-") else None


@pytest.mark.parametrize(
    ("uptime_seconds", "share"), [(0, 0.25), (14, 0.25), (30, 0.5), (60, 1), (9000, 1)]
)
async def test_a_node_gets_as_many_as_it_is_old_enough_for(
    monkeypatch: pytest.MonkeyPatch, uptime_seconds: float, share: float
) -> None:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.001)
    node, now = OneNode(uptime_seconds), [1000.0]
    gate = Gate(Connects(per_second_per_node=RATE), node, clock=lambda: now[0])

    def lets_in() -> int:
        """How many go at once, one held client included."""
        count = 0
        while isinstance(gate.admit(NODE, token(), b"yes"), bytes):
            count += 1
        return count

    for _ in range(BURST):
        assert gate.admit(NODE, token(), b"yes") == b"yes"
    watching = asyncio.create_task(gate.run())
    async with asyncio.timeout(5):
        await node.looked.wait()
    await asyncio.sleep(0)
    watching.cancel()
    now[0] += 0.4
    assert lets_in() == pytest.approx(0.4 * RATE * share, abs=1)
