"""The governor at work: answers that wait for their time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import Any, Final, Protocol

import msgspec
from prometheus_client import Counter, Gauge, Histogram

from liveconnect.api.operands import Connects
from liveconnect.common.tokens import NEWS_MAY_HELP, TokenFault, Verified
from liveconnect.webhook.adapters.brokers import Vitals
from liveconnect.webhook.governor import Limits, Offenders, Pacer, Priority

_SHORTEST_SECONDS: Final = 0.001
_LOOK_SECONDS: Final = 5.0
_FULL_SHARE: Final = 0.8
_OFFENDERS_SHARE: Final = 0.1
_NOT_ITS_FAULT: Final = frozenset({TokenFault.PROVIDER_UNAVAILABLE, *NEWS_MAY_HELP})

HELD: Final = Gauge("liveconnect_webhook_connects_held", "Good clients whose answers are held.")
HELD_SECONDS: Final = Histogram(
    "liveconnect_webhook_connect_held_seconds",
    "How long good clients' answers were held, by their class.",
    ["priority"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 5),
)
RELIEVED: Final = Gauge(
    "liveconnect_webhook_connect_relief_nodes",
    "Nodes that are let in faster than their bound, for their connections to us are used up.",
)
BACKED_OFF: Final = Counter(
    "liveconnect_webhook_refusals_held_total", "Refusals that were held back: clients in a loop."
)


class Held(msgspec.Struct, frozen=True, gc=False):
    """An answer, and when to give it."""

    future: asyncio.Future[Any]
    """Done when it is time; cancelled if the asking side goes away."""
    content: bytes


class Looking(Protocol):
    """What is needed of the brokers."""

    async def vitals(self) -> tuple[Vitals, ...]:
        """Look at every node."""

    def pod_of(self, node: str) -> str | None:
        """Return the pod of a node name."""


class Gate:
    """Lets clients in at the rate that the cluster can take."""

    def __init__(
        self,
        connects: Connects,
        brokers: Looking | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make it.

        Args:
            connects: the bounds, this replica's share of them.
            brokers: tell how long they have been up; without them every node is an old one.
            clock: returns seconds, and only goes forward.
        """
        full = max(int(connects.pool_share * _FULL_SHARE), 2)
        limits = Limits(connects.per_second_per_node, connects.per_second, full=full)
        self._connects = connects
        self._brokers = brokers
        self._clock = clock
        self._pacer: Pacer[asyncio.Future[None]] = Pacer(limits)
        self._offenders = Offenders()
        self._punished = 0
        self._most_punished = max(int(connects.pool_share * _OFFENDERS_SHARE), 1)
        self._timer: asyncio.TimerHandle | None = None
        self._came = False

    def priority(self, identity: Verified) -> Priority:
        """Return a client's class, by what its token says of it."""
        value = identity.claims.get(self._connects.priority_claim)
        values = value if isinstance(value, list) else [value]
        if any(isinstance(one, str) and one in self._connects.first for one in values):
            return Priority.FIRST
        if any(isinstance(one, str) and one in self._connects.last for one in values):
            return Priority.LAST
        return Priority.NORMAL

    def admit(self, node: str, identity: Verified, answer: bytes) -> bytes | Held:
        """Return a good client's answer, or hold it.

        Args:
            node: where the client wants in.
            identity: who it is.
            answer: what it will get.
        """
        self._came, now = True, self._clock()
        if self._pacer.passes(node, now):
            return answer
        priority = self.priority(identity)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pacer.hold(node, priority, future, now)
        seconds = HELD_SECONDS.labels(priority.name.lower())
        future.add_done_callback(lambda _: seconds.observe(self._clock() - now))
        self._set_timer()
        return Held(future, answer)

    def refuse(self, client: Hashable, reason: str, answer: bytes) -> bytes | Held:
        """Return a bad client's answer, or hold it if the client tries again and again.

        Only a few are held at a time: the broker's connections to us are the good clients' way in.

        Args:
            client: client id and token.
            reason: why it is refused; for some of them the client can do nothing.
            answer: what it will get.
        """
        if reason in _NOT_ITS_FAULT:
            return answer
        pause = self._offenders.refused(client, self._clock())
        if pause == 0.0 or self._punished >= self._most_punished:
            return answer
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(pause, _finish, future)
        self._punished += 1
        BACKED_OFF.inc()

        def over(_: asyncio.Future[None]) -> None:
            self._punished -= 1
            timer.cancel()

        future.add_done_callback(over)
        return Held(future, answer)

    async def run(self) -> None:
        """Keep an eye on the nodes' age until cancelled, while clients come."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self._pacer.forget(self._clock())
            if self._came and self._brokers is not None:
                self._came = False
                for vitals in await self._brokers.vitals():
                    pod = self._brokers.pod_of(vitals.node)
                    if pod is not None:
                        self._pacer.booted(pod, self._clock() - vitals.uptime_ms / 1000)

    def _release(self) -> None:
        self._timer = None
        for future in self._pacer.release(self._clock()):
            _finish(future)
        self._set_timer()

    def _set_timer(self) -> None:
        HELD.set(self._pacer.waiting)
        RELIEVED.set(self._pacer.relieved)
        if self._timer is not None:
            return
        now = self._clock()
        due = self._pacer.due(now)
        if due is not None:
            pause = max(due - now, _SHORTEST_SECONDS)
            self._timer = asyncio.get_running_loop().call_later(pause, self._release)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
