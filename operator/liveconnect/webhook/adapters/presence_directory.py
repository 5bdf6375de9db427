"""Who is where: the indexes of the presence store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from liveconnect.webhook.adapters.group_index import GroupIndex
from liveconnect.webhook.adapters.presence_store import PresenceStore
from liveconnect.webhook.adapters.store_connection import Script, StoreConnection
from liveconnect.webhook.presence import Record, State

_AFTER_ALL: Final = b"\xff"
"""Sorts after every UTF-8 text."""
_READ_AT_ONCE: Final = 1000
GROUP_PLACE: Final = "group"
"""Index of a place among a group's members."""

_PRUNE: Final = Script("""
local pruned = 0
for number, client in ipairs(ARGV) do
  if redis.call('EXISTS', KEYS[number + 1]) == 0 then
    pruned = pruned + redis.call('ZREM', KEYS[1], client)
  end
end
return pruned
""")
"""KEYS: an index, then records; ARGV: their client ids. Takes out those whose record expired."""


class Selection(msgspec.Struct, frozen=True):
    """Which clients; None stands for all."""

    state: State | None = None
    node: str | None = None
    prefix: str = ""
    """What client ids begin with."""

    def includes(self, state: State, node: str) -> bool:
        """Whether clients in this state on this node can be among them."""
        return self.state in {None, state} and self.node in {None, node}


class Place(msgspec.Struct, frozen=True, order=True):
    """A place in the order of all clients: index by index, shard by shard, by client id."""

    index: str
    shard: int
    client_id: str
    """The last one before the place; empty at the beginning."""


class Page(msgspec.Struct, frozen=True):
    """Some clients, and where the next ones begin; None after the last."""

    records: Sequence[Record]
    next: Place | None


class PresenceDirectory:
    """Counts and lists clients."""

    def __init__(self, connection: StoreConnection, store: PresenceStore) -> None:
        self._connection = connection
        self._keys = connection.keys
        self._store = store
        self._groups = GroupIndex(connection, connection.keys)

    async def counts(self) -> Mapping[tuple[State, str], int]:
        """Return how many clients are in each state on each node.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        places = await self._indexes()
        sizes = await self._connection.pipelined(
            *(("ZCARD", self._keys.index(shard, state, node)) for state, node, shard in places)
        )
        counts: dict[tuple[State, str], int] = {}
        for (state, node, _), size in zip(places, sizes, strict=True):
            counts[state, node] = counts.get((state, node), 0) + int(size)
        return counts

    async def client_ids(self, state: State, node: str) -> Sequence[str]:
        """Return all clients in a state on a node, read in pieces: hooks are answered meanwhile.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        client_ids: list[str] = []
        for shard in self._keys.shards:
            place = Place(f"{state.value}:{node}", shard, "")
            while found := await self._scan(place, "", _READ_AT_ONCE):
                client_ids += found
                place = Place(place.index, shard, found[-1])
        return client_ids

    async def page(self, selection: Selection, after: Place | None, limit: int) -> Page:
        """Return the next clients of a selection.

        Clients that change while somebody pages may be seen twice or not at all; who cannot have
        that follows the changes.

        Args:
            selection: which clients.
            after: where the page before ended, None for the first.
            limit: how many at most.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        records: list[Record] = []
        for state, node, shard in sorted(await self._indexes()):
            place = Place(f"{state.value}:{node}", shard, "")
            if not selection.includes(state, node) or (after and place < _beginning(after)):
                continue
            if after and place == _beginning(after):
                place = after
            while len(records) < limit:
                found = await self._scan(place, selection.prefix, limit - len(records))
                if not found:
                    break
                place = Place(place.index, shard, found[-1])
                records += await self._still_there(found, state, node)
            if len(records) >= limit:
                return Page(records, place)
        return Page(records, None)

    async def members(self, group: str, prefix: str, after: Place | None, limit: int) -> Page:
        """Return the next members of a group; whoever comes and goes meanwhile is seen once.

        Args:
            group: its name.
            prefix: what client ids begin with.
            after: where the page before ended, None for the first.
            limit: how many at most.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        place = after or Place(GROUP_PLACE, 0, "")
        records: list[Record] = []
        for shard in range(place.shard, len(self._keys.shards)):
            seen: str | None = place.client_id if shard == place.shard else ""
            while seen is not None:
                left = limit - len(records)
                found, seen = await self._groups.members(group, shard, seen, prefix, left)
                stored = await self._store.read(found)
                records += [r for one in found if (r := stored[one].record) is not None]
                if seen is not None and len(records) >= limit:
                    return Page(records, Place(GROUP_PLACE, shard, seen))
            if len(records) >= limit and shard + 1 < len(self._keys.shards):
                return Page(records, Place(GROUP_PLACE, shard + 1, ""))
        return Page(records, None)

    async def prune(self) -> int:
        """Take out of the indexes whose record has expired; how many.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        pruned = 0
        for state, node, shard in await self._indexes():
            if state is State.ONLINE:  # these do not expire
                continue
            place = Place(f"{state.value}:{node}", shard, "")
            while found := await self._scan(place, "", _READ_AT_ONCE):
                place = Place(place.index, shard, found[-1])
                keys = [self._keys.index(shard, state, node), *map(self._keys.record, found)]
                pruned += await self._connection.run_script(_PRUNE, keys, *found)
        return pruned

    async def _indexes(self) -> list[tuple[State, str, int]]:
        answers = await self._connection.pipelined(
            *(("SMEMBERS", self._keys.indexes(shard)) for shard in self._keys.shards)
        )
        found = []
        for shard, names in zip(self._keys.shards, answers, strict=True):
            for name in names:
                state, _, node = name.decode().partition(":")
                found.append((State(state), node, shard))
        return found

    async def _scan(self, place: Place, prefix: str, limit: int) -> list[str]:
        state, _, node = place.index.partition(":")
        first: Any = b"[" + prefix.encode()
        if place.client_id:
            first = b"(" + place.client_id.encode()
        last = b"[" + prefix.encode() + _AFTER_ALL
        key = self._keys.index(place.shard, State(state), node)
        (found,) = await self._connection.pipelined(
            ("ZRANGE", key, first, last, "BYLEX", "LIMIT", 0, limit)
        )
        return [client_id.decode() for client_id in found]

    async def _still_there(self, client_ids: list[str], state: State, node: str) -> list[Record]:
        """Their records, without those that have changed meanwhile or expired."""
        stored = await self._store.read(client_ids)
        records = (stored[client_id].record for client_id in client_ids)
        return [r for r in records if r is not None and (r.state, r.node) == (state, node)]


def _beginning(place: Place) -> Place:
    return Place(place.index, place.shard, "")
