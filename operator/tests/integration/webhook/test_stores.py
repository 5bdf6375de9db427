"""The store's adapters against real servers: one, with TLS, Sentinel, cluster."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from liveconnect.webhook.adapters.group_index import GroupIndex
from liveconnect.webhook.adapters.presence_changes import PositionLostError, PresenceChanges
from liveconnect.webhook.adapters.presence_directory import PresenceDirectory, Selection
from liveconnect.webhook.adapters.presence_queue import PresenceQueue
from liveconnect.webhook.adapters.presence_store import PresenceStore, Replacement, Retention
from liveconnect.webhook.adapters.presence_writer import write_events
from liveconnect.webhook.adapters.store_connection import StoreConnection, StoreUnavailableError
from liveconnect.webhook.adapters.store_marks import StoreMarks
from liveconnect.webhook.adapters.store_url import StoreUrl
from liveconnect.webhook.presence import Event, EventKind, State
from tests.integration.webhook.stores import PASSWORD, cluster, sentinels, with_tls
from tests.integration.webhook.world import Redis

NOW = 10**13


@contextlib.asynccontextmanager
async def connected(
    url: str, ca: Path | None = None, prefix: str = "lc:shop/demo"
) -> AsyncIterator[StoreConnection]:
    connection = StoreConnection(StoreUrl.parse(url), prefix, None if ca is None else str(ca))
    try:
        yield connection
    finally:
        await connection.close()


async def register(connection: StoreConnection, *client_ids: str, node: str = "n0") -> None:
    events = {c: [Event(EventKind.REGISTERED, c, node, 1000)] for c in client_ids}
    written = await write_events(PresenceStore(connection), events, NOW)
    assert not written.lost


async def everything_works(connection: StoreConnection) -> None:
    """A tour of all that is asked of a store."""
    store = PresenceStore(connection)
    directory, changes = PresenceDirectory(connection, store), PresenceChanges(connection)
    before = await changes.newest()
    names = sorted(f"phone-{number:02}" for number in range(40))
    await register(connection, *names)
    gone = {c: [Event(EventKind.ENDED, c, "n0", 2000)] for c in names[:10]}
    assert (await write_events(store, gone, NOW)).changed == 10
    assert (await write_events(store, gone, NOW)).changed == 0
    counts = await directory.counts()
    assert counts == {(State.ONLINE, "n0"): 30, (State.OFFLINE, "n0"): 10}
    assert sorted(await directory.client_ids(State.OFFLINE, "n0")) == names[:10]
    found, place = [], None
    while True:
        page = await directory.page(Selection(prefix="phone-"), place, 7)
        found += [record.client_id for record in page.records]
        if (place := page.next) is None:
            break
    assert sorted(found) == names
    groups = GroupIndex(connection, connection.keys)
    noted = [command for name in names for command in groups.note(name, {"drivers"})]
    await connection.written(*noted, *groups.note(names[7], set()))
    found, place = [], None
    while True:
        page = await directory.members("drivers", "phone-", place, 7)
        found += [record.client_id for record in page.records]
        if (place := page.next) is None:
            break
    assert sorted(found) == sorted(set(names) - {names[7]})
    told = []
    while following := await changes.after(before, 9):
        told += [change.client_id for _, change in following]
        before = following[-1][0]
    assert len(told) == 50
    assert changes.parse(str(before)) == before
    assert [c.state for c in await store.history(names[0])] == [State.OFFLINE, State.ONLINE]
    marks, other = StoreMarks(connection), StoreMarks(connection)
    assert await marks.hold("task", 60_000)
    assert not await other.hold("task", 60_000)
    await marks.release("task")
    assert await other.hold("task", 60_000)
    suspicions = await marks.suspicions()
    await other.suspect()
    assert await marks.suspicions() != suspicions


@pytest.fixture
def single(tmp_path: Path) -> Iterator[Redis]:
    store = Redis(tmp_path)
    store.start()
    yield store
    store.stop()


async def test_one_server(single: Redis) -> None:
    async with connected(single.url) as connection:
        await everything_works(connection)


async def test_clusters_share_a_store_and_see_nothing_of_each_other(single: Redis) -> None:
    async with connected(single.url) as one, connected(single.url, prefix="lc:a/b") as other:
        await register(one, "phone")
        stored = await PresenceStore(other).read(["phone"])
        assert stored["phone"].record is None


async def test_tls_with_a_private_ca(tmp_path: Path) -> None:
    with with_tls(tmp_path) as (server, ca):
        url = f"rediss://:{PASSWORD}@127.0.0.1:{server.port}/0"
        async with connected(url, ca) as connection:
            await everything_works(connection)
        for wrong, certificates in ((url, None), (url.replace(PASSWORD, "wrong"), ca)):
            async with connected(wrong, certificates) as connection:
                with pytest.raises(StoreUnavailableError) as error:
                    await PresenceStore(connection).read(["phone"])
                assert "wrong" not in str(error.value).replace("WRONGPASS", "")


async def test_a_cluster_of_three(tmp_path: Path) -> None:
    with cluster(tmp_path) as servers:
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
        async with connected(f"redis+cluster://:{PASSWORD}@{hosts}") as connection:
            await everything_works(connection)
        sizes = [server.client().dbsize() for server in servers]
        assert min(map(int, sizes)) > 0


async def test_a_sentinel_fails_over_and_presence_goes_on(tmp_path: Path) -> None:
    with sentinels(tmp_path) as stores:
        async with connected(stores.url) as connection:
            await everything_works(connection)
            queue = PresenceQueue(PresenceStore(connection), StoreMarks(connection))
            task = asyncio.create_task(queue.run())
            await queue.flush(10)
            suspicions = await StoreMarks(connection).suspicions()
            stores.master.end(signal.SIGKILL)
            for number in range(100):
                queue.put(Event(EventKind.REGISTERED, f"late-{number}", "n1", 5000))
            assert queue.oldest_at is not None
            await queue.flush(30)
            assert queue.fault is None
            assert stores.master_port() == stores.replica.port
            counts = await PresenceDirectory(connection, PresenceStore(connection)).counts()
            assert counts[State.ONLINE, "n1"] == 100
            assert await StoreMarks(connection).suspicions() != suspicions
            task.cancel()


async def test_a_store_that_is_slow_is_away_and_nothing_waits_longer(single: Redis) -> None:
    async with connected(single.url) as connection:
        await register(connection, "phone")
        single.pause()
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            await PresenceStore(connection).read(["phone"])
        assert time.monotonic() - began < 6
        single.resume()
        stored = await PresenceStore(connection).read(["phone"])
        assert stored["phone"].record is not None


async def test_only_one_of_two_who_read_the_same_writes(single: Redis) -> None:
    async with connected(single.url) as connection:
        store = PresenceStore(connection)
        await register(connection, "phone")
        before = (await store.read(["phone"]))["phone"]
        assert before.record is not None
        change = Replacement(before.record, before, ())
        newer = Event(EventKind.REGISTERED, "phone", "n1", 9000)
        assert (await write_events(store, {"phone": [newer]}, NOW)).changed == 1
        assert await store.write([change]) == {"phone"}


async def test_changes_that_were_cut_off_are_noticed(single: Redis) -> None:
    async with connected(single.url) as connection:
        changes = PresenceChanges(connection)
        await register(connection, "first")
        position = await changes.newest()
        await register(connection, *(f"phone-{number}" for number in range(10)))
        assert len(await changes.after(position, 100)) == 10
        await connection.redis.xtrim(connection.keys.changes(0), maxlen=2, approximate=False)
        with pytest.raises(PositionLostError):
            await changes.after(position, 100)


async def test_what_is_forgotten_leaves_the_indexes(single: Redis) -> None:
    async with connected(single.url) as connection:
        store = PresenceStore(connection, Retention(forget_seconds=1))
        directory = PresenceDirectory(connection, store)
        for kind, at in ((EventKind.REGISTERED, 1000), (EventKind.ENDED, 2000)):
            await write_events(store, {"phone": [Event(kind, "phone", "n0", at)]}, NOW)
        assert await directory.counts() == {(State.OFFLINE, "n0"): 1}

        async def forgotten() -> bool:
            return (await store.read(["phone"]))["phone"].record is None

        await eventually_async(forgotten)
        assert (await directory.page(Selection(), None, 10)).records == []
        assert await directory.prune() == 1
        assert not sum((await directory.counts()).values())


async def eventually_async(look: Callable[[], Awaitable[bool]], within: float = 10) -> None:
    async with asyncio.timeout(within):
        while not await look():  # noqa: ASYNC110 - nobody tells when a store forgets
            await asyncio.sleep(0.02)
