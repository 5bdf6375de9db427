"""Repairs presence from outside: what the hooks cannot tell, the brokers' session lists do.

One replica does it at a time, the one that holds the task in the store
(docs/adr/0012-presence-audited-from-outside.md). What to look at is decided in
`liveconnect.webhook.presence.watch`; here is only the doing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from prometheus_client import Counter, Gauge, Histogram

from liveconnect.common.logs import get_logger
from liveconnect.webhook.adapters.brokers import Brokers, BrokerUnavailableError, Vitals
from liveconnect.webhook.adapters.presence_directory import PresenceDirectory
from liveconnect.webhook.adapters.presence_queue import milliseconds
from liveconnect.webhook.adapters.presence_store import PresenceStore
from liveconnect.webhook.adapters.presence_writer import write_events
from liveconnect.webhook.adapters.store_connection import StoreUnavailableError
from liveconnect.webhook.adapters.store_marks import StoreMarks
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
)

AUDITED_MARK: Final = "audited"
"""Where it is noted up to when presence was compared with all session lists."""
_TASK: Final = "auditor"
_HELD_MS: Final = 5000
"""How long nobody audits when the replica that did is killed."""
_BATCH: Final = 512
_ATTEMPTS: Final = 5
_LISTS_AT_ONCE: Final = 2
_MEMBER_LISTS: Final = 3
_PRUNE_LOOKS: Final = 1800

REPAIRED: Final = Counter(
    "liveconnect_webhook_presence_repaired_total",
    "Records that were wrong by the brokers' session lists, by what they became.",
    ["state"],
)
LISTS: Final = Histogram(
    "liveconnect_webhook_presence_list_seconds",
    "Time to read a node's session list and to compare it with the records.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
LIST_FAILURES: Final = Counter(
    "liveconnect_webhook_presence_list_failures_total", "Session lists that could not be read."
)
AUDITING: Final = Gauge(
    "liveconnect_webhook_presence_auditing", "Whether this replica audits presence."
)
AGE: Final = Gauge(
    "liveconnect_webhook_presence_audit_age_seconds",
    "Age of the oldest comparison of a node that answers; only where this replica audits.",
)
LOST_NODES: Final = Gauge(
    "liveconnect_webhook_presence_lost_nodes", "Nodes whose clients are unknown."
)

T = TypeVar("T")

_log = get_logger(__name__)


class Auditor:
    """Compares presence with what the brokers say, for ever."""

    def __init__(
        self,
        brokers: Brokers,
        store: PresenceStore,
        directory: PresenceDirectory,
        marks: StoreMarks,
        clock: Callable[[], int] = milliseconds,
    ) -> None:
        self._brokers = brokers
        self._store = store
        self._directory = directory
        self._marks = marks
        self._clock = clock
        self._watch = Watch()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(_LISTS_AT_ONCE)
        self._lost: tuple[str, ...] = ()
        self._auditing = False
        self._looks = 0
        self._fault: str | None = None

    async def run(self) -> None:
        """Look every other second until cancelled; while another replica does, only wait."""
        try:
            while True:
                began = self._clock()
                await self._turn()
                took = self._clock() - began
                await asyncio.sleep(max(LOOK_MS - took, 100) / 1000)
        finally:
            await self._give_up()

    async def _turn(self) -> None:
        try:
            async with asyncio.timeout(_HELD_MS / 1000):
                if await self._marks.hold(_TASK, _HELD_MS):
                    self._note_auditing(auditing=True)
                    await self._look()
                else:
                    self._begin_anew()
        except (StoreUnavailableError, TimeoutError) as error:
            if self._fault is None:
                _log.warning("presence cannot be audited", reason=str(error) or "too slow")
            self._fault = str(error) or "too slow"
        else:
            self._fault = None

    def _note_auditing(self, *, auditing: bool) -> None:
        AUDITING.set(auditing)
        self._auditing = auditing

    def _begin_anew(self) -> None:
        self._note_auditing(auditing=False)
        if self._looks:
            self._watch, self._looks, self._lost = Watch(), 0, ()

    async def _give_up(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        if self._auditing:
            with contextlib.suppress(StoreUnavailableError):
                await self._marks.release(_TASK)

    # --- one look

    async def _look(self) -> None:
        await self._look_up_what_was_left_open()
        began = self._clock()
        vitals, counts, suspicions = await asyncio.gather(
            self._brokers.vitals(), self._directory.counts(), self._marks.suspicions()
        )
        addresses = {v.node: v.address for v in vitals}
        members = await self._members(list(addresses.values()))
        look = Look(
            at=began,
            answered=self._sightings(vitals),
            members=members,
            online=_of_state(counts, State.ONLINE),
            unknown=_of_state(counts, State.UNKNOWN),
            suspicions=suspicions,
        )
        orders = self._watch.decide(look)
        self._tell_of_lost(orders.lost)
        for pod in orders.lost:
            if look.online.get(pod):
                await self._mark(pod, EventKind.LOST, orders.lost_since, State.ONLINE)
        for pod in orders.gone:
            if look.online.get(pod) or look.unknown.get(pod):
                await self._mark(pod, EventKind.ABSENT, began, State.ONLINE, State.UNKNOWN)
        for pod in orders.lists:
            self._read(pod, addresses)
        await self._report(began)

    async def _report(self, now: int) -> None:
        oldest = self._watch.oldest_list_at()
        if oldest is not None:
            AGE.set((now - oldest) / 1000)
            await self._marks.note(AUDITED_MARK, str(oldest))
        if self._looks % _PRUNE_LOOKS == 0:
            self._start("", self._prune())
        self._looks += 1

    async def _prune(self) -> None:
        with contextlib.suppress(StoreUnavailableError):
            await self._directory.prune()

    def _tell_of_lost(self, lost: tuple[str, ...]) -> None:
        LOST_NODES.set(len(lost))
        for pod in set(lost) - set(self._lost):
            _log.warning("a broker does not answer: its clients are unknown", node=pod)
        for pod in set(self._lost) - set(lost):
            _log.info("a broker answers again, or is gone for good", node=pod)
        self._lost = lost

    def _sightings(self, vitals: Sequence[Vitals]) -> Mapping[str, Sighting]:
        found = {}
        for one in vitals:
            pod = self._brokers.pod_of(one.node)
            if pod is not None:
                found[pod] = Sighting(one.connections, one.uptime_ms, one.hook_errors)
        return found

    async def _members(self, addresses: Sequence[str]) -> frozenset[str] | None:
        """All that some nodes take for members: one that is in no list is gone for good."""
        asked = addresses[:_MEMBER_LISTS]
        answers = await asyncio.gather(
            *(self._brokers.members(address) for address in asked), return_exceptions=True
        )
        lists = [answer for answer in answers if isinstance(answer, Mapping)]
        if not lists:
            return None
        pods = (self._brokers.pod_of(node) for members in lists for node in members)
        return frozenset(pod for pod in pods if pod is not None)

    async def _mark(self, pod: str, kind: EventKind, at: int, *states: State) -> None:
        for state in states:
            client_ids = await self._directory.client_ids(state, pod)
            await self._apply([Event(kind, client_id, pod, at) for client_id in client_ids])

    # --- session lists

    def _read(self, pod: str, addresses: Mapping[str, str]) -> None:
        node = self._brokers.node_of(pod)
        address = addresses.get(node)
        if pod not in self._tasks and address is not None:
            self._start(pod, self._compare(self._watch, pod, node, address))

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))

    async def _compare(self, watch: Watch, pod: str, node: str, address: str) -> None:
        try:
            async with self._slots:
                with LISTS.time():
                    await self._compare_now(watch, pod, node, address)
        except (BrokerUnavailableError, StoreUnavailableError) as error:
            LIST_FAILURES.inc()
            _log.info("a session list was not compared", node=pod, reason=str(error))

    async def _compare_now(self, watch: Watch, pod: str, node: str, address: str) -> None:
        began = self._clock()
        listed = await self._brokers.online(address, node)
        findings = compare(
            listed,
            await self._directory.client_ids(State.ONLINE, pod),
            await self._directory.client_ids(State.UNKNOWN, pod),
            watch.missing(pod),
        )
        repaired, records = await self._apply(findings.events(pod, began))
        left = findings.left_open().unsettled(pod, {**_there(findings.missing, pod), **records})
        watch.noted(pod, began, repaired=repaired, left=left)

    async def _look_up_what_was_left_open(self) -> None:
        for pod, left in self._watch.left_open().items():
            if pod in self._tasks:
                continue
            records: dict[str, Record | None] = {}
            for some in _batches(left.missing | left.seen):
                stored = await self._store.read(some)
                records |= {client_id: entry.record for client_id, entry in stored.items()}
            self._watch.still_open(pod, left.unsettled(pod, records))

    async def _apply(self, events: Sequence[Event]) -> tuple[int, Mapping[str, Record | None]]:
        changed = 0
        records: dict[str, Record | None] = {}
        for some in _batches(events):
            pending = {event.client_id: [event] for event in some}
            for _ in range(_ATTEMPTS):
                written = await write_events(self._store, pending, self._clock())
                changed += written.changed
                records.update(written.records)
                if not written.lost:
                    break
                pending = {client_id: pending[client_id] for client_id in written.lost}
        _count(changed, events, records)
        return changed, records


def _count(changed: int, events: Sequence[Event], records: Mapping[str, Record | None]) -> None:
    if not changed:
        return
    for event in events:
        record = records.get(event.client_id)
        if record is not None and record.since == event.at:
            REPAIRED.labels(record.state.value).inc()


def _there(client_ids: Iterable[str], pod: str) -> Mapping[str, Record | None]:
    """Records of clients that were there a moment ago by the index."""
    return {c: Record(c, State.ONLINE, pod, 0, 0) for c in client_ids}


def _of_state(counts: Mapping[tuple[State, str], int], state: State) -> Mapping[str, int]:
    return {node: count for (kind, node), count in counts.items() if kind is state}


def _batches(items: Iterable[T]) -> Iterable[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
