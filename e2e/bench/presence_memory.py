"""`presence-memory-100k`: what 100,000 known clients cost in the presence store."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from e2e.bench.row import Measurement, Row
from e2e.bench.store import store
from e2e.providers.progress import say
from liveconnect.webhook.adapters.presence_store import PresenceStore
from liveconnect.webhook.adapters.presence_writer import write_events
from liveconnect.webhook.adapters.store_connection import StoreConnection
from liveconnect.webhook.adapters.store_url import StoreUrl
from liveconnect.webhook.presence import Event, EventKind

_CLIENTS = 100_000
_BATCH = 512
_NODES = 3
_NOW = 1_795_507_200_000
_MIB = 1024 * 1024


def _batches() -> list[list[str]]:
    """Client ids as apps choose them, the same in every run."""
    names = [str(uuid.uuid5(uuid.NAMESPACE_URL, str(number))) for number in range(_CLIENTS)]
    return [names[start : start + _BATCH] for start in range(0, _CLIENTS, _BATCH)]


async def _used(connection: StoreConnection) -> int:
    info: dict[str, Any] = await connection.redis.info("memory")
    return int(info["used_memory"])


async def _fill(connection: StoreConnection, batches: Sequence[Sequence[str]]) -> float:
    """Everybody connects once; the memory that this takes (MiB)."""
    store, before = PresenceStore(connection), await _used(connection)
    for batch in batches:
        events = {
            name: [Event(EventKind.REGISTERED, name, f"demo-subscriber-{index % _NODES}", _NOW)]
            for index, name in enumerate(batch)
        }
        await write_events(store, events, _NOW)
    return (await _used(connection) - before) / _MIB


async def _fill_plainly(connection: StoreConnection, batches: Sequence[Sequence[str]]) -> float:
    """The least that anybody would keep: a key for each client, with state, node and time."""
    before = await _used(connection)
    for batch in batches:
        commands = (
            ("SET", f"presence:{name}", msgspec.json.encode(
                {"state": "online", "node": f"demo-subscriber-{index % _NODES}", "since": _NOW}))
            for index, name in enumerate(batch)
        )  # fmt: skip
        await connection.pipelined(*commands)
    return (await _used(connection) - before) / _MIB


async def _measure_both(address: str) -> tuple[float, float]:
    connection = StoreConnection(StoreUrl.parse(address), "lc:bench/bench")
    try:
        batches = _batches()
        ours = await _fill(connection, batches)
        kept = await connection.redis.info("keyspace")
        await connection.redis.flushall()
        plain = await _fill_plainly(connection, batches)
    finally:
        await connection.close()
    say(f"    {ours:.1f} MiB in {kept['db0']['keys']} keys; plain: {plain:.1f} MiB")
    return ours, plain


def _measure() -> Measurement:
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        store(Path(folder)) as address,
    ):
        ours, plain = asyncio.run(_measure_both(address))
    return Measurement(ours, plain)


ROW = Row(
    id="presence-memory-100k",
    what="memory of the store for 100,000 known clients: records, indexes, history, changes",
    unit="MiB",
    peer="a key with state, node and time for each, and nothing else",
    goal=4.5,
    measure=_measure,
    less_is_better=True,
)
