"""A world to be wrong in: brokers, hooks, replicas, a store, and the audit; time is simulated.

The truth is who has a session where. Everything else is what the platform believes.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from liveconnect.webhook.presence import (
    LOOK_MS,
    Event,
    EventKind,
    Look,
    Record,
    Sighting,
    State,
    Watch,
    compare,
    transition,
)

BOUND_MS = 10_000
"""What is promised: no record is wrong for longer, once the store and the nodes can be asked."""
SAVED_EVERY_MS = 1000
"""How much a fail-over of the store loses at most."""


@dataclass
class Broker:
    """A node: who is connected to it, and since when its process runs."""

    up: bool = True
    member: bool = True
    started: int = 0
    errors: int = 0
    strangers: int = 0
    """Connections that are no clients."""


@dataclass
class Replica:
    """A replica of the auth service: what it has heard and not written."""

    skew: int
    up: bool = True
    queue: list[Event] = field(default_factory=list)


class PresenceWorld:
    """All of it; `advance` lets time pass."""

    def __init__(self, skews: tuple[int, int] = (0, 0), *, population: int = 0) -> None:
        """Make it.

        Args:
            skews: how wrong the replicas' clocks are.
            population: clients of each node that never do anything, and make lists expensive.
        """
        self._population = population
        self.now = 1_000_000
        self.brokers = {name: Broker(started=self.now) for name in "abc"}
        self.sessions: dict[str, str] = {}
        self.replicas = [Replica(skew) for skew in skews]
        self.store: dict[str, Record] = {}
        self.store_up = True
        self.suspicions = 0
        self.hurt = False
        """Whether the replicas noticed that the store was away."""
        self.wrong: dict[str, int] = {}
        self.healed_at = self.now
        self.watch = Watch()
        self.leader_up = True
        self.lists = 0
        """Session lists that were read."""
        self._saved: dict[str, Record] = {}
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._lingering: list[tuple[str, str]] = []
        """Sessions that were taken over and are listed still."""
        self._at(0, self._look)
        self._at(0, self._save)

    # --- what clients and nodes do

    def connect(self, client: str, node: str, replica: int, *, late_ms: int = 6) -> None:
        """A session begins; one that was elsewhere ends, its hook comes last."""
        if not self.brokers[node].up:
            return
        old = self.sessions.get(client)
        if old == node:
            self.disconnect(client, replica)
            self._at(100, lambda: self.connect(client, node, replica, late_ms=late_ms))
            return
        self.sessions[client] = node
        self._tell(EventKind.REGISTERED, client, node, replica)
        if old is not None:
            self._lingering.append((client, old))
            self._at(late_ms, lambda: self._end_of_old(client, old, replica))

    def _end_of_old(self, client: str, node: str, replica: int) -> None:
        self._lingering.remove((client, node))
        self._tell(EventKind.ENDED, client, node, replica)

    def disconnect(self, client: str, replica: int) -> None:
        """A session ends; half-open ones, too, when the broker finds out."""
        node = self.sessions.pop(client, None)
        if node is not None:
            self._tell(EventKind.ENDED, client, node, replica)

    def vanish(self, client: str, keep_alive_ms: int, replica: int) -> None:
        """The device is away without a word; its session lives until the keep-alive is over."""
        node = self.sessions.get(client)

        def cut() -> None:
            if node is not None and self.sessions.get(client) == node:
                self.disconnect(client, replica)

        self._at(keep_alive_ms, cut)

    def kill(self, node: str) -> None:
        """A node dies; nobody tells."""
        self.brokers[node].up = False
        self.sessions = {c: n for c, n in self.sessions.items() if n != node}
        self._disturbed()

    def start(self, node: str) -> None:
        """It comes back, as a new process."""
        broker = self.brokers[node]
        if not broker.up and broker.member:
            broker.up, broker.started, broker.errors = True, self.now, 0
            self._disturbed()

    def forget(self, node: str) -> None:
        """A dead node is taken out of the cluster."""
        if not self.brokers[node].up and sum(b.member for b in self.brokers.values()) > 1:
            self.brokers[node].member = False
            self._disturbed()

    def _tell(self, kind: EventKind, client: str, node: str, replica: int) -> None:
        broker, heard = self.brokers[node], self.replicas[replica]
        if not broker.up:
            return
        if not heard.up:
            broker.errors += 1
            self._disturbed()
            return
        heard.queue.append(Event(kind, client, node, self.now + heard.skew))

    def repeat(self, replica: int) -> None:
        """The last hook is heard again."""
        queue = self.replicas[replica].queue
        if queue:
            queue.append(queue[-1])

    # --- what the platform does

    def kill_replica(self, replica: int) -> None:
        """A replica dies with all that it has not written."""
        self.replicas[replica].up = False
        self.replicas[replica].queue.clear()

    def start_replica(self, replica: int) -> None:
        """It is started again, and says that its predecessor may have lost something."""
        if not self.replicas[replica].up:
            self.replicas[replica].up = True
            self.hurt = True
            self._disturbed()

    def kill_leader(self) -> None:
        """The replica that audits dies; another one begins with nothing when the lock is over."""
        if self.leader_up:
            self.leader_up = False
            self._at(5000, self._elect)
            self._disturbed()

    def _elect(self) -> None:
        self.watch, self.leader_up = Watch(), True
        self._disturbed()
        self._at(0, self._look)

    def stop_store(self) -> None:
        """The store goes away."""
        self.store_up = False
        self.hurt = True

    def start_store(self, *, failed_over: bool) -> None:
        """It comes back, or its replica does, which has not heard of the last second."""
        if not self.store_up:
            self.store_up = True
            if failed_over:
                self.store = dict(self._saved)
            self._disturbed()

    def _save(self) -> None:
        self._saved = dict(self.store)
        self._at(SAVED_EVERY_MS, self._save)

    def _write(self, event: Event) -> bool:
        before = self.store.get(event.client_id)
        after = transition(before, event, self.now + 100)
        if after is None or after is before:
            return False
        self.store[event.client_id] = after
        return True

    def flush(self) -> None:
        """Replicas write what they have heard."""
        if not self.store_up:
            return
        for replica in self.replicas:
            for event in replica.queue:
                self._write(event)
            replica.queue.clear()
        if self.hurt and any(r.up for r in self.replicas):
            self.suspicions += 1
            self.hurt = False

    def _look(self) -> None:
        if not self.leader_up:
            return
        self._at(LOOK_MS, self._look)
        if not self.store_up:
            return
        for pod, left in self.watch.left_open().items():
            self.watch.still_open(pod, left.unsettled(pod, self.store))
        orders = self.watch.decide(self._see())
        for client, record in tuple(self.store.items()):
            if record.node in orders.lost:
                self._write(Event(EventKind.LOST, client, record.node, orders.lost_since))
            if record.node in orders.gone:
                self._write(Event(EventKind.ABSENT, client, record.node, self.now))
        for pod in orders.lists:
            self._list(pod)

    def _see(self) -> Look:
        up = [name for name, broker in self.brokers.items() if broker.up]
        return Look(
            self.now,
            {
                name: Sighting(
                    len(self._listed_by(name)) + self._population + self.brokers[name].strangers,
                    self.now - self.brokers[name].started,
                    self.brokers[name].errors,
                )
                for name in up
            },
            [n for n, broker in self.brokers.items() if broker.member] if up else None,
            self._count(State.ONLINE),
            self._count(State.UNKNOWN),
            str(self.suspicions),
        )

    def _count(self, state: State) -> dict[str, int]:
        counts = dict.fromkeys(self.brokers, self._population if state is State.ONLINE else 0)
        for record in self.store.values():
            if record.state is state:
                counts[record.node] = counts.get(record.node, 0) + 1
        return counts

    def _list(self, pod: str) -> None:
        """Read a list, which takes time, and meanwhile things happen."""
        began = self.now
        self.lists += 1
        self._at(150, lambda: self._listed(pod, began))

    def _listed(self, pod: str, began: int) -> None:
        if not self.brokers[pod].up:
            return
        listed = self._listed_by(pod)
        self._at(150, lambda: self._compare(pod, began, listed))

    def _listed_by(self, pod: str) -> list[str]:
        sessions = [*self.sessions.items(), *self._lingering]
        return [client for client, node in sessions if node == pod and self.brokers[pod].up]

    def _compare(self, pod: str, began: int, listed: list[str]) -> None:
        if not self.leader_up or not self.store_up:
            return
        there = {c: r for c, r in self.store.items() if r.node == pod}
        findings = compare(
            listed,
            [c for c, r in there.items() if r.state is State.ONLINE],
            [c for c, r in there.items() if r.state is State.UNKNOWN],
            self.watch.missing(pod),
        )
        repaired = sum(self._write(event) for event in findings.events(pod, began))
        left = findings.left_open().unsettled(pod, self.store)
        self.watch.noted(pod, began, repaired=repaired, left=left)

    # --- time, and the judge

    def _disturbed(self) -> None:
        self.healed_at = self.now

    def _at(self, delay: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self.now + delay, next(self._order), action))

    def advance(self, by_ms: int, *, lag_ms: int = 20) -> None:
        """Let time pass; replicas write every `lag_ms`."""
        end = self.now + by_ms
        while self.now < end:
            until = min(self.now + lag_ms, end)
            while self._agenda and self._agenda[0][0] <= until:
                at, _, action = heapq.heappop(self._agenda)
                self.now = max(self.now, at)
                action()
            self.now = until
            self.flush()
            self._judge()

    def _judge(self) -> None:
        quiet = self.store_up and self.leader_up
        for client in {*self.sessions, *self.store}:
            if quiet and self.is_right(client):
                self.wrong.pop(client, None)
                continue
            since = max(self.wrong.setdefault(client, self.now), self.healed_at)
            if quiet and self.now - since > BOUND_MS:
                raise AssertionError(self.explain(client))

    def is_right(self, client: str) -> bool:
        """Whether a record says what is, or that nobody can know while that is so."""
        node, record = self.sessions.get(client), self.store.get(client)
        if record is None:
            return node is None
        if record.state is State.UNKNOWN:
            lost = self.brokers[record.node]
            return node is None and lost.member and not lost.up
        if record.state is State.ONLINE:
            return node == record.node
        return node is None

    def explain(self, client: str) -> str:
        """Return what is wrong, and since when."""
        return (
            f"{client}: session on {self.sessions.get(client)}, record {self.store.get(client)}, "
            f"wrong since {self.wrong.get(client)}, healed {self.healed_at}, now {self.now}"
        )
