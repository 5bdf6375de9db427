"""One round of the canary: every node's session publishes, all that are connected listen."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from typing import Final

from liveconnect.common.logs import Redacted
from liveconnect.controller.adapters.canarysession import CanaryError, CanarySession
from liveconnect.controller.model.mesh import Pair, Target

DELIVERY_SECONDS: Final = 12.0
"""How long messages are tried: a subscription reaches the other nodes within 7.5 s, however its
first announcement fares (operations.md)."""
_AGAIN_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Outcome:
    """What a round found; nodes are named by their life."""

    seconds: Mapping[Pair, float | None]
    """Time from publishing to arrival; None: both were connected and it did not arrive."""
    faults: Mapping[str, str]
    """Nodes by which nothing could be tried, and why."""
    connected: tuple[str, ...]
    """Pods that have answered a CONNECT."""


class Round:
    """Tries all pairs of nodes once."""

    def __init__(self, targets: Sequence[Target], port: int) -> None:
        """Prepare it.

        Args:
            targets: the nodes.
            port: of their private listeners.
        """
        self._targets = targets
        self._port = port
        self._nonce = secrets.token_hex(8)
        self._sessions = [
            CanarySession(target.client_id, partial(self._arrived, index))
            for index, target in enumerate(targets)
        ]
        self._sent: dict[tuple[int, int], float] = {}
        self._seconds: dict[tuple[int, int], float] = {}
        self._all = asyncio.Event()
        self._clock = asyncio.get_running_loop().time

    async def run(self, token: Redacted) -> Outcome:
        """Connect to every node, try messages, disconnect."""
        both = zip(self._sessions, self._targets, strict=True)
        try:
            await asyncio.gather(*(self._open(s, target, token) for s, target in both))
            await self._exchange()
            return self._outcome()
        finally:
            for session in self._sessions:
                session.close()

    async def _open(self, session: CanarySession, target: Target, token: Redacted) -> None:
        try:
            await session.open(target.address, self._port, token)
        except CanaryError as error:
            session.fault = str(error)

    async def _exchange(self) -> None:
        """Publish again and again until everything has arrived or time is up."""
        deadline = self._clock() + DELIVERY_SECONDS
        attempt = 0
        while self._clock() < deadline and (missing := set(self._missing())):
            for index in sorted({source for source, _ in missing}):
                self._sent[index, attempt] = self._clock()
                self._sessions[index].publish(f"{self._nonce} {index} {attempt}".encode())
            attempt += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_SECONDS):
                    await self._all.wait()

    def _missing(self) -> Iterable[tuple[int, int]]:
        """Pairs that have nothing to show for yet, both connected."""
        live = [index for index, session in enumerate(self._sessions) if session.fault is None]
        return (pair for pair in permutations(live, 2) if pair not in self._seconds)

    def _arrived(self, target: int, payload: bytes) -> None:
        nonce, _, numbers = payload.decode("ascii", "replace").partition(" ")
        source, _, attempt = numbers.partition(" ")
        if nonce != self._nonce or not (source.isdecimal() and attempt.isdecimal()):
            return
        pair, sent = (int(source), target), self._sent.get((int(source), int(attempt)))
        if sent is None or pair in self._seconds:
            return
        self._seconds[pair] = self._clock() - sent
        if not any(True for _ in self._missing()):
            self._all.set()

    def _outcome(self) -> Outcome:
        lives = [target.life for target in self._targets]
        for index in {source for source, _ in self._missing()}:
            if not self._sessions[index].acknowledged:
                self._sessions[index].fault = "messages are not acknowledged"
        found: dict[tuple[int, int], float | None] = dict.fromkeys(self._missing())
        found.update((pair, took) for pair, took in self._seconds.items() if pair[0] != pair[1])
        return Outcome(
            seconds={(lives[a], lives[b]): took for (a, b), took in found.items()},
            faults={
                life: session.fault
                for life, session in zip(lives, self._sessions, strict=True)
                if session.fault is not None
            },
            connected=tuple(
                target.pod
                for target, session in zip(self._targets, self._sessions, strict=True)
                if session.connected
            ),
        )
