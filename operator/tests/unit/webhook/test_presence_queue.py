"""Events on their way to the store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from liveconnect.webhook.adapters.presence_queue import LAG, PresenceQueue
from liveconnect.webhook.adapters.presence_store import (
    Replacement,
    StoredRecord,
    StoreUnavailableError,
)
from liveconnect.webhook.presence import Event, EventKind, Record, State


class MemoryStore:
    """A store that can be away, and in which somebody else can be faster."""

    def __init__(self) -> None:
        self.records: dict[str, tuple[Record, bytes]] = {}
        self.away = 0
        self.rivals: list[Record] = []
        self.writes = 0
        self.suspicions = 0

    async def read(self, client_ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        if self.away > 0:
            self.away -= 1
            raise StoreUnavailableError("away")
        found = {
            client_id: StoredRecord(*self.records.get(client_id, (None, b"")))
            for client_id in client_ids
        }
        if self.rivals:
            self.put(self.rivals.pop())
        return found

    async def write(self, replacements: Sequence[Replacement]) -> frozenset[str]:
        lost = set()
        for change in replacements:
            version = self.records.get(change.record.client_id, (None, b""))[1]
            if version == change.before.version:
                self.put(change.record)
            else:
                lost.add(change.record.client_id)
        return frozenset(lost)

    async def suspect(self) -> None:
        if self.away > 0:
            self.away -= 1
            raise StoreUnavailableError("away")
        self.suspicions += 1

    def put(self, record: Record) -> None:
        self.writes += 1
        self.records[record.client_id] = (record, b"v%d" % self.writes)

    def state(self, client_id: str) -> tuple[State, str]:
        record = self.records[client_id][0]
        return record.state, record.node


@contextlib.asynccontextmanager
async def running(store: MemoryStore, **more: int) -> AsyncIterator[PresenceQueue]:
    queue = PresenceQueue(store, store, clock=lambda: 10**9, **more)
    task = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        task.cancel()


def online(client_id: str, node: str, at: int) -> Event:
    return Event(EventKind.REGISTERED, client_id, node, at)


def gone(client_id: str, node: str, at: int) -> Event:
    return Event(EventKind.ENDED, client_id, node, at)


async def test_events_of_a_client_are_written_in_order() -> None:
    store = MemoryStore()
    async with running(store) as queue:
        for number in range(2000):
            queue.put(online(f"c{number % 7}", "a", 1000 * number))
            queue.put(gone(f"c{number % 7}", "a", 1000 * number + 900))
        queue.put(online("c3", "b", 3_000_000))
        await queue.flush(5)
    assert store.state("c3") == (State.ONLINE, "b")
    assert store.state("c1") == (State.OFFLINE, "a")


async def test_nothing_is_lost_while_the_store_is_away() -> None:
    store = MemoryStore()
    store.away = 3
    async with running(store) as queue:
        queue.put(online("c", "a", 1000))
        queue.put(gone("c", "a", 2000))
        assert queue.oldest_at == 1000
        await queue.flush(5)
        assert queue.oldest_at is None
        assert queue.fault is None
    assert store.state("c") == (State.OFFLINE, "a")


async def test_what_another_replica_wrote_in_between_is_taken_into_account() -> None:
    store = MemoryStore()
    store.rivals = [Record("c", State.ONLINE, "b", 9000, 9000, registered_at=9000, sessions=1)]
    async with running(store) as queue:
        queue.put(online("c", "a", 1000))
        await queue.flush(5)
    assert store.state("c") == (State.ONLINE, "b")


async def test_the_queue_is_bounded_and_keeps_the_newest() -> None:
    store = MemoryStore()
    queue = PresenceQueue(store, store, max_queued=2, clock=lambda: 10**9)
    for number in range(5):
        queue.put(online(f"c{number}", "a", 1000))
    task = asyncio.create_task(queue.run())
    await queue.flush(5)
    task.cancel()
    assert sorted(store.records) == ["c3", "c4"]


async def test_a_flush_gives_up_in_time() -> None:
    store = MemoryStore()
    store.away = 10**6
    async with running(store) as queue:
        queue.put(online("c", "a", 1000))
        await queue.flush(0.05)
        assert queue.fault == "away"
    assert not store.records


async def test_an_error_that_nobody_foresaw_ends_the_task() -> None:
    class Broken(MemoryStore):
        async def write(self, replacements: Sequence[Replacement]) -> frozenset[str]:
            raise ZeroDivisionError(len(replacements))

    queue = PresenceQueue(Broken(), MemoryStore())
    queue.put(online("c", "a", 1000))
    with pytest.raises(ZeroDivisionError):
        await queue.run()


async def test_brokers_are_to_be_asked_after_a_start_an_outage_and_a_loss() -> None:
    store = MemoryStore()
    async with running(store, max_queued=2) as queue:
        await queue.flush(5)
        assert store.suspicions == 1
        store.away = 2
        queue.put(online("c", "a", 1000))
        await queue.flush(5)
        assert store.suspicions == 2
        for number in range(3):
            queue.put(online(f"c{number}", "a", 1000))
        await queue.flush(5)
        assert store.suspicions == 3


def lag() -> tuple[float, float]:
    """How many were measured, and the sum of their seconds."""
    (metric,) = LAG.collect()
    samples = {sample.name.rpartition("_")[2]: sample.value for sample in metric.samples}
    return samples["count"], samples["sum"]


async def test_the_time_from_a_hook_to_its_record_is_measured() -> None:
    store, before = MemoryStore(), lag()
    async with running(store) as queue:
        queue.put(online("c", "a", 10**9 - 2500))
        queue.put(online("d", "a", 10**9 - 500))
        await queue.flush(5)
    count, seconds = (now - then for now, then in zip(lag(), before, strict=True))
    assert count == 2
    assert seconds == pytest.approx(3)
