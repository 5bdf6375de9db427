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
    SKEW_MS,
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
from liveconnect.webhook.presence.watch import list_pause_ms, sweep_ms

BOUND_MS = 10_000
"""What is promised: no record is wrong for longer, once the store and the nodes can be asked."""
READING_MS = 2000
"""What of a longer bound is for reading lists."""
RESTLESS_MS = 120_000
"""Connections that are no clients and change twice in this time make the count prove nothing."""
SAVED_EVERY_MS = 1000
"""How much a fail-over of the store loses at most."""


def bound_ms(sessions: int) -> int:
    """Return how long a record may be wrong at most (docs/adr/0012): two lists have to be read."""
    pause = -(-list_pause_ms(sessions) // LOOK_MS) * LOOK_MS
    return max(BOUND_MS, 2 * pause + READING_MS)


@dataclass
class Broker:
    """A node: who is connected to it, and since when its process runs."""

    up: bool = True
    member: bool = True
    started: int = 0
    errors: int = 0
    strangers: int = 0
    """Connections that are no clients,"""
    unrest: list[int] = field(default_factory=list)
    """and when their number changed."""
    told: int = 0
    """When it last gave a sign that hooks may be missing."""


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
        self._bound, self._sweep = bound_ms(population), sweep_ms(population)
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
        self._silent: dict[str, int] = {}
        """When nothing told of what is wrong, for the last time."""
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
            broker.up, broker.started, broker.errors, broker.told = True, self.now, 0, self.now
            self._disturbed()

    def forget(self, node: str) -> None:
        """A dead node is taken out of the cluster."""
        if not self.brokers[node].up and sum(b.member for b in self.brokers.values()) > 1:
            self.brokers[node].member = False
            self._disturbed()

    def check_health(self, node: str, strangers: int) -> None:
        """So many connections to a node are no clients from now on."""
        broker = self.brokers[node]
        if broker.strangers != strangers:
            broker.strangers = strangers
            broker.unrest.append(self.now)

    def _tell(self, kind: EventKind, client: str, node: str, replica: int) -> None:
        broker, heard = self.brokers[node], self.replicas[replica]
        if not broker.up:
            return
        if not heard.up:
            broker.errors, broker.told = broker.errors + 1, self.now
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
            for broker in self.brokers.values():
                broker.told = self.now

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
                self._silent.pop(client, None)
                continue
            since = max(self.wrong.setdefault(client, self.now), self.healed_at)
            if self._gives_no_sign(client):
                self._silent[client] = self.now
            told = max(since, self._silent.get(client, 0))
            late = self.now - told > self._bound or self.now - since > self._bound + self._sweep
            if quiet and late:
                raise AssertionError(self.explain(client))

    def _gives_no_sign(self, client: str) -> bool:
        """Whether only the next sweep can find what is wrong with a client's record.

        No hook failed, and mistakes on the same node cancel each other out, or are lost among
        connections that are no clients and come and go.
        """
        record, since = self.store.get(client), self.wrong[client]
        if record is not None and record.state is State.UNKNOWN:
            return False
        node = self.sessions.get(client) or (record.node if record else "")
        broker = self.brokers[node]
        if not broker.up or broker.told >= since - SKEW_MS:
            return False
        there = sum(at == node for at in self.sessions.values())
        believed = sum(r.node == node and r.state is State.ONLINE for r in self.store.values())
        changed = [at for at in broker.unrest if at > self.now - RESTLESS_MS]
        restless = len(changed) > 1 or any(at > since - self._bound for at in changed)
        return there == believed or restless

    def is_right(self, client: str) -> bool:
        """Whether a record says what is, or that nobody can know while that is so."""
        node, record = self.sessions.get(client), self.store.get(client)
        if record is None:
            return node is None
        if record.state is State.UNKNOWN:
            lost = self.brokers[record.node]
            nobody_can_be_asked = not any(broker.up for broker in self.brokers.values())
            return node is None and not lost.up and (lost.member or nobody_can_be_asked)
        if record.state is State.ONLINE:
            return node == record.node
        return node is None

    def explain(self, client: str) -> str:
        """Return what is wrong, and since when."""
        return (
            f"{client}: session on {self.sessions.get(client)}, record {self.store.get(client)}, "
            f"wrong since {self.wrong.get(client)}, healed {self.healed_at}, now {self.now}"
        )
