"""Who goes when: a bound for each node and for the cluster, important clients first.

What VerneMQ allows decides the numbers (webhooks.md):

- it waits 5 s for an answer, so nobody is held longer than `hold_seconds`;
- it has 100 connections for a URL and node; who comes then waits for one, unseen by us, and is
  refused after 8 s. So a node whose answers are held in such numbers has a queue of unknown
  length; after `relief_seconds` of that its bound is raised, faster and faster, until it is gone.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, Generic, TypeVar

import msgspec

from liveconnect.webhook.governor.bucket import Bucket

_BURST_SECONDS: Final = 0.5
_DOUBLING_SECONDS: Final = 0.5
_MAX_DOUBLINGS: Final = 10
_BOOT_SECONDS: Final = 60.0
_BOOT_SHARE: Final = 0.25
_FORGET_SECONDS: Final = 600.0

T = TypeVar("T")


class Priority(IntEnum):
    """Whose turn comes first."""

    FIRST = 0
    NORMAL = 1
    LAST = 2


class Limits(msgspec.Struct, frozen=True):
    """The bounds."""

    node_rate: float
    """Clients that one node gets in a second."""
    cluster_rate: float | None = None
    """Clients that all nodes together get in a second; None: as many as the nodes may."""
    hold_seconds: float = 3.0
    """Nobody is held longer."""
    full: int = 80
    """So many held answers of one node mean that its connections to us are used up."""
    relief_seconds: float = 2.0
    """How long that may last."""


class _Held(msgspec.Struct, Generic[T], gc=False):
    ticket: T
    deadline: float


class _Node(Generic[T]):
    def __init__(self, rate: float) -> None:
        self.bucket = Bucket(rate, rate * _BURST_SECONDS)
        self.queues: dict[Priority, deque[_Held[T]]] = {one: deque() for one in Priority}
        self.full_since: float | None = None
        self.booted_at = -float("inf")
        self.seen_at = 0.0
        self.waiting = 0


class Pacer(Generic[T]):
    """Holds tickets back; whoever owns it hands them out."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._nodes: dict[str, _Node[T]] = {}
        rate = limits.cluster_rate
        self._cluster = None if rate is None else Bucket(rate, rate * _BURST_SECONDS)
        self._turn = 0

    @property
    def waiting(self) -> int:
        """How many are held."""
        return sum(node.waiting for node in self._nodes.values())

    @property
    def relieved(self) -> int:
        """How many nodes' answers have been held in such numbers for long."""
        return sum(node.full_since is not None for node in self._nodes.values())

    def booted(self, name: str, at: float) -> None:
        """Note when a node started: it gets a share at first, all of it after a minute."""
        self._node(name).booted_at = at

    def passes(self, name: str, now: float) -> bool:
        """Return whether a client may go at once; if not, it is to be held.

        Args:
            name: of the node.
            now: seconds on a clock that only goes forward.
        """
        node = self._node(name)
        node.seen_at = now
        if node.waiting:
            return False
        node.bucket.refill(now, self._factor(node, now))
        if self._cluster is not None:
            self._cluster.refill(now, self._cluster_factor(now))
        if not self._may_go(node):
            return False
        self._go(node)
        return True

    def hold(self, name: str, priority: Priority, ticket: T, now: float) -> None:
        """Hold a client's ticket until `release` gives it back."""
        node = self._node(name)
        node.queues[priority].append(_Held(ticket, now + self._limits.hold_seconds))
        node.waiting += 1
        self._note_fullness(node, now)

    def release(self, now: float) -> Iterator[T]:
        """Give the tickets of those who may go now, the most important first."""
        self._refill(now)
        nodes = list(self._nodes.values())
        # Who begins changes, or the first node would always have the cluster's bound to itself.
        self._turn = (self._turn + 1) % max(len(nodes), 1)
        nodes = nodes[self._turn :] + nodes[: self._turn]
        for priority in Priority:
            for node in nodes:
                queue = node.queues[priority]
                while queue and (queue[0].deadline <= now or self._may_go(node)):
                    self._go(node)
                    node.waiting -= 1
                    yield queue.popleft().ticket
        for node in nodes:
            self._note_fullness(node, now)

    def due(self, now: float) -> float | None:
        """Return when `release` may have something to give; None if nobody waits."""
        times = [self._due(node, now) for node in self._nodes.values() if node.waiting]
        return min(times, default=None)

    def forget(self, now: float) -> None:
        """Drop nodes that have not been heard of for long."""
        for name in [
            name
            for name, node in self._nodes.items()
            if not node.waiting and now - node.seen_at > _FORGET_SECONDS
        ]:
            del self._nodes[name]

    def _node(self, name: str) -> _Node[T]:
        node = self._nodes.get(name)
        if node is None:
            node = self._nodes[name] = _Node(self._limits.node_rate)
        return node

    def _may_go(self, node: _Node[T]) -> bool:
        return node.bucket.ready and (self._cluster is None or self._cluster.ready)

    def _go(self, node: _Node[T]) -> None:
        node.bucket.take()
        if self._cluster is not None:
            self._cluster.take()

    def _refill(self, now: float) -> None:
        for node in self._nodes.values():
            node.bucket.refill(now, self._factor(node, now))
        if self._cluster is not None:
            self._cluster.refill(now, self._cluster_factor(now))

    def _due(self, node: _Node[T], now: float) -> float:
        wait = node.bucket.wait(self._factor(node, now))
        if self._cluster is not None:
            wait = max(wait, self._cluster.wait(self._cluster_factor(now)))
        deadlines = (queue[0].deadline for queue in node.queues.values() if queue)
        return min(now + wait, *deadlines)

    def _factor(self, node: _Node[T], now: float) -> float:
        relief = self._relief(node, now)
        age = now - node.booted_at
        return relief if age >= _BOOT_SECONDS else relief * max(age / _BOOT_SECONDS, _BOOT_SHARE)

    def _cluster_factor(self, now: float) -> float:
        return max((self._relief(node, now) for node in self._nodes.values()), default=1.0)

    def _relief(self, node: _Node[T], now: float) -> float:
        if node.full_since is None:
            return 1.0
        late = now - node.full_since - self._limits.relief_seconds
        doublings: float = min(max(late, 0.0) / _DOUBLING_SECONDS, _MAX_DOUBLINGS)
        return math.pow(2.0, doublings)

    def _note_fullness(self, node: _Node[T], now: float) -> None:
        if node.waiting >= self._limits.full:
            node.full_since = now if node.full_since is None else node.full_since
        elif node.waiting <= self._limits.full // 4:
            node.full_since = None
