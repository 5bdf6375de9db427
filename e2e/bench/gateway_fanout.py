"""`gateway-fanout-10k`: one message each to 10,000 clients, each on a connection of its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from e2e.bench.cores import measured_core, other_core, pinned
from e2e.bench.gateway import PAYLOAD, STATUS, Gateway, gateway
from e2e.bench.rounds import paired
from e2e.bench.row import Measurement, Row

_CLIENTS = 10_000
_ROUNDS = 3
_PEERS = Path(__file__).parent / "peers"


class _Crowd:
    """The devices, in a process of their own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._expect("ready")

    @classmethod
    @contextlib.contextmanager
    def connected(cls, port: int) -> Iterator[_Crowd]:
        """Connect them while the block lasts."""
        command = [sys.executable, str(_PEERS / "crowd.py"), str(port), str(_CLIENTS)]
        with subprocess.Popen(
            pinned(other_core(), *command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield cls(process)
            finally:
                process.terminate()

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def _expect(self, word: str) -> None:
        if self._line() != word:
            raise RuntimeError("the devices did not connect")

    def expect_all(self) -> None:
        """Begin a round."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def served_at(self) -> float:
        """Return when all had their message (seconds since the epoch)."""
        return float(self._line())


def _by_http(made: Gateway, crowd: _Crowd, body: bytes) -> float:
    crowd.expect_all()
    began = time.time()
    results = made.post("/v1/publish/batch", body, "application/x-ndjson")
    if not all('"acknowledged"' in result for result in results):
        raise RuntimeError("not all were acknowledged")
    return crowd.served_at() - began


def _by_paho(port: int, crowd: _Crowd) -> float:
    crowd.expect_all()
    script = str(_PEERS / "pahofanout.py")
    command = pinned(measured_core(), sys.executable, script, str(port), str(_CLIENTS), PAYLOAD)
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return crowd.served_at() - float(output)


def _measure() -> Measurement:
    lines = (
        json.dumps({"clientId": f"c{number}", "payload": STATUS}) for number in range(_CLIENTS)
    )
    body = "\n".join(lines).encode()
    with gateway() as made, _Crowd.connected(made.broker_port) as crowd:
        return paired(
            partial(_by_http, made, crowd, body),
            partial(_by_paho, made.broker_port, crowd),
            rounds=_ROUNDS,
            unit="s",
        )


ROW = Row(
    id="gateway-fanout-10k",
    what=f"one batch, a QoS 1 message to each of {_CLIENTS} connected clients, until all have it",
    unit="s",
    peer="paho publishing the same into the same broker",
    goal=1.25,
    measure=_measure,
    less_is_better=True,
)
