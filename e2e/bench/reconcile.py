"""`reconcile-1`, `-100`, `-500`: objects to children, against a bare loop of the same applies.

The peer's control plane and ours are made anew, one after the other, so that both begin empty. Ours
counts only when all children exist. The run with 500 objects also tells what they cost at rest:
`idle-500-writes`, `idle-500-cpu`, `memory-per-object`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from e2e.bench.applyloop import apply_all
from e2e.bench.fleet import Fleet, children, connect
from e2e.bench.processes import answers, free_port, running
from e2e.bench.row import Measurement, Row
from e2e.providers.paths import ROOT
from e2e.providers.progress import say

_MANY: Final = 500
_IDLE_SECONDS: Final = 60
_CALM_WITHIN_SECONDS: Final = 600
_WRITES: Final = {"create", "update", "patch", "delete"}
_ROUNDS: Final = {1: 5, 100: 1, _MANY: 1}
_LEASE: Final = "leases"


@dataclass(frozen=True)
class Seen:
    """What a run with so many objects showed."""

    rate: float
    """Children per second, until all were there."""
    peer_rate: float
    idle_writes: int = 0
    idle_cpu: float = 0
    """Of a core, 1 is all of it."""
    memory: float = 0
    """MiB per object."""


class _Process:
    """What the kernel knows of a process."""

    def __init__(self, pid: int) -> None:
        self._folder = Path("/proc") / str(pid)

    def cpu_seconds(self) -> float:
        """User and system time."""
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> float:
        """Memory in MiB."""
        lines = (self._folder / "status").read_text().splitlines()
        [line] = [line for line in lines if line.startswith("VmRSS:")]
        return int(line.split()[1]) / 1024


@contextlib.contextmanager
def _operator(fleet: Fleet, folder: Path) -> Iterator[_Process]:
    port = free_port()
    environment = {
        **os.environ,
        "KUBECONFIG": str(fleet.plane.user_kubeconfig()),
        "LIVECONNECT_IMAGE": "liveconnect:bench",
        "LIVECONNECT_HOST": "127.0.0.1",
        "LIVECONNECT_PORT": str(port),
    }
    command = [sys.executable, "-m", "liveconnect.controller"]
    url = f"http://127.0.0.1:{port}/readyz"
    log = folder / "operator.log"
    with running(command, lambda: answers(url), log, environment) as process:
        yield _Process(process.pid)


@contextlib.contextmanager
def _fleet() -> Iterator[tuple[Fleet, Path]]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        fleet = Fleet(folder / "plane")
        stack.callback(fleet.plane.delete)
        fleet.create(ROOT)
        yield fleet, folder


async def _peer(fleet: Fleet, count: int) -> float:
    """Applies per second of the bare loop, the median of its rounds."""
    rounds = _ROUNDS[count]
    times = []
    async with connect(fleet.plane.kubeconfig()) as session:
        for number in range(rounds):
            began = number * count
            times.append(await apply_all(session, range(began, began + count)))
    return len(children(0)) * count / sorted(times)[rounds // 2]


async def _ours(fleet: Fleet, count: int) -> float:
    """Children per second of the operator, the median of its rounds."""
    rounds = _ROUNDS[count]
    times = []
    async with connect(fleet.plane.kubeconfig()) as session:
        await fleet.wait(session, 0)
        for number in range(rounds):
            began = number * count
            start = time.perf_counter()
            await fleet.make(session, range(began, began + count))
            times.append(await fleet.wait(session, began + count) - start)
    return len(children(0)) * count / sorted(times)[rounds // 2]


def _run(count: int) -> Seen:
    with _fleet() as (fleet, _):
        peer_rate = asyncio.run(_peer(fleet, count))
    with _fleet() as (fleet, folder), _operator(fleet, folder) as process:
        before, memory = process.cpu_seconds(), process.resident()
        rate = asyncio.run(_ours(fleet, count))
        created = count * _ROUNDS[count]
        used = process.cpu_seconds() - before
        say(f"    {count} objects: {rate:.0f} children/s, peer {peer_rate:.0f}")
        say(f"    operator: {used:.1f} s of CPU, {process.resident():.0f} MiB")
        _say_requests(fleet, created)
        if count < _MANY:
            return Seen(rate, peer_rate)
        return _at_rest(fleet, process, Seen(rate, peer_rate), memory)


def _say_requests(fleet: Fleet, count: int) -> None:
    found = Counter(verb for verb, _ in fleet.requests())
    per_object = ", ".join(f"{verb} {number / count:.1f}" for verb, number in sorted(found.items()))
    say(f"    requests per object: {per_object}")


def _at_rest(fleet: Fleet, process: _Process, seen: Seen, memory: float) -> Seen:
    """Wait until the operator has nothing more to write, then look at it for a minute."""
    calm = _calm(fleet)
    say(f"    at rest after {calm:.0f} s more")
    mark, cpu = fleet.mark(), process.cpu_seconds()
    time.sleep(_IDLE_SECONDS)
    writes = [f"{v} {r}" for v, r in fleet.requests(mark) if v in _WRITES and r != _LEASE]
    say(
        f"    60 s at rest: {Counter(v for v, _ in fleet.requests(mark))}, writes {Counter(writes)}"
    )
    return Seen(
        rate=seen.rate,
        peer_rate=seen.peer_rate,
        idle_writes=len(writes),
        idle_cpu=(process.cpu_seconds() - cpu) / _IDLE_SECONDS,
        memory=(process.resident() - memory) / _MANY,
    )


def _calm(fleet: Fleet) -> float:
    """Seconds until it has not written for as long as the measurement lasts."""
    began = time.monotonic()
    mark, since = fleet.mark(), began
    while time.monotonic() - since < _IDLE_SECONDS / 2:
        time.sleep(2)
        if any(v in _WRITES for v, _ in fleet.requests(mark)):
            since = time.monotonic()
        mark = fleet.mark()
        if time.monotonic() - began > _CALM_WITHIN_SECONDS:
            say("    it goes on writing")
            break
    return time.monotonic() - began


#: The rows of the large run share it: it takes minutes.
_many = functools.cache(lambda: _run(_MANY))


def _rate(count: int) -> Measurement:
    seen = _many() if count == _MANY else _run(count)
    return Measurement(seen.rate, seen.peer_rate)


def _row(count: int) -> Row:
    objects = "one object" if count == 1 else f"{count} objects"
    return Row(
        id=f"reconcile-{count}",
        what=f"children made for {objects} on KWOK nodes, until all exist",
        unit="1/s",
        peer="bare concurrent loop of the same server-side applies",
        goal=0.6,
        measure=lambda: _rate(count),
    )


ROWS: Final = (
    _row(1),
    _row(100),
    _row(_MANY),
    Row(
        id="idle-500-writes",
        what="writes in 60 s with 500 objects at rest (the Lease's renewals not counted)",
        unit="writes",
        peer="a single write",
        goal=0,
        measure=lambda: Measurement(_many().idle_writes, 1),
        less_is_better=True,
    ),
    Row(
        id="idle-500-cpu",
        what="CPU of the operator in 60 s with 500 objects at rest",
        unit="core",
        peer="one core",
        goal=0.02,
        measure=lambda: Measurement(_many().idle_cpu, 1),
        less_is_better=True,
    ),
    Row(
        id="memory-per-object",
        what="growth of the operator's resident memory per object, at rest",
        unit="MiB",
        peer="1 MiB",
        goal=0.5,
        measure=lambda: Measurement(_many().memory, 1),
        less_is_better=True,
    ),
)
