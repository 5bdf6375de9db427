"""The presence store: records, and with each of them its place in the indexes and its changes.

A record is written by one script together with all that follows from it, if it still is what it
was when it was read. So indexes never disagree with records, and no change goes untold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from liveconnect.common.jsonerrors import MALFORMED
from liveconnect.webhook.adapters.store_connection import (
    Script,
    StoreConnection,
    StoreUnavailableError,
)
from liveconnect.webhook.presence import Change, Record, State

__all__ = ["PresenceStore", "Replacement", "Retention", "StoreUnavailableError", "StoredRecord"]

_WRITE: Final = Script("""
local outcomes = {}
for change = 1, (#KEYS - 2) / 4 do
  local key = 2 + 4 * (change - 1)
  local argument = 3 + 8 * (change - 1)
  local record, history, old, new = KEYS[key + 1], KEYS[key + 2], KEYS[key + 3], KEYS[key + 4]
  local client, version, value, lifetime = unpack(ARGV, argument + 1, argument + 4)
  local old_name, new_name, told, noted = unpack(ARGV, argument + 5, argument + 8)
  if (redis.call('GET', record) or '') ~= version then
    outcomes[change] = 0
  else
    if lifetime == '0' then redis.call('SET', record, value)
    else redis.call('SET', record, value, 'EX', lifetime) end
    if old_name ~= new_name then
      if old_name ~= '' then
        redis.call('ZREM', old, client)
        if redis.call('EXISTS', old) == 0 then redis.call('SREM', KEYS[2], old_name) end
      end
      redis.call('ZADD', new, 0, client)
      redis.call('SADD', KEYS[2], new_name)
    end
    for _, entry in ipairs(cmsgpack.unpack(told)) do
      redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'c', entry)
    end
    if ARGV[3] ~= '0' then
      for _, entry in ipairs(cmsgpack.unpack(noted)) do redis.call('LPUSH', history, entry) end
      redis.call('LTRIM', history, 0, ARGV[2] - 1)
      redis.call('EXPIRE', history, ARGV[3])
    end
    outcomes[change] = 1
  end
end
return outcomes
""")
"""KEYS: stream, index names; then for each record: record, history, old index, new index.
ARGV: stream's length, history's length and seconds; then for each record: client id, the bytes that
were read ('' for none), record, lifetime, name of the old index ('' for none), of the new one,
changes as a MessagePack list, the same for the history."""


class Retention(msgspec.Struct, frozen=True):
    """How long things are kept."""

    forget_seconds: int = 30 * 24 * 3600
    """Records of clients that are not online."""
    history_seconds: int = 24 * 3600
    """A client's last changes; 0 keeps none."""
    history_length: int = 32
    changes: int = 100_000
    """Changes of a shard that can be followed up."""


class StoredRecord(msgspec.Struct, frozen=True):
    """A record and the very bytes that it was read from."""

    record: Record | None
    version: bytes


class Replacement(msgspec.Struct, frozen=True):
    """A record that is to replace what was read."""

    record: Record
    before: StoredRecord
    changes: Sequence[Change]
    """What is to be told: all states that it went through since it was read."""


_decode: Final = msgspec.msgpack.Decoder(Record).decode
_encode: Final = msgspec.msgpack.Encoder().encode


class PresenceStore:
    """Reads records, and writes them if nobody else did in between."""

    def __init__(self, connection: StoreConnection, retention: Retention | None = None) -> None:
        self._connection = connection
        self._keys = connection.keys
        self.retention = retention or Retention()

    async def read(self, client_ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        """Return the records of these clients.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        groups = self._by_shard(client_ids).values()
        answers = await self._connection.pipelined(
            *(("MGET", *map(self._keys.record, group)) for group in groups)
        )
        return {
            client_id: _stored(value)
            for group, values in zip(groups, answers, strict=True)
            for client_id, value in zip(group, values, strict=True)
        }

    async def write(self, replacements: Sequence[Replacement]) -> frozenset[str]:
        """Write records, in one round trip for each shard.

        Returns:
            The client ids whose record was changed by somebody else since it was read.

        Raises:
            StoreUnavailableError: the store does not answer; some may have been written.
        """
        by_client = {item.record.client_id: item for item in replacements}
        lost: set[str] = set()
        for shard, client_ids in self._by_shard(by_client).items():
            outcomes = await self._write(shard, [by_client[name] for name in client_ids])
            lost.update(name for name, done in zip(client_ids, outcomes, strict=True) if not done)
        return frozenset(lost)

    async def _write(self, shard: int, replacements: Sequence[Replacement]) -> Sequence[int]:
        retention = self.retention
        keys = [self._keys.changes(shard), self._keys.indexes(shard)]
        arguments: list[Any] = [
            retention.changes,
            retention.history_length,
            retention.history_seconds,
        ]
        for item in replacements:
            after, before = item.record, item.before.record
            client_id, old = after.client_id, before or after
            keys += [
                self._keys.record(client_id),
                self._keys.history(client_id),
                self._keys.index(shard, old.state, old.node),
                self._keys.index(shard, after.state, after.node),
            ]
            arguments += [
                client_id,
                item.before.version,
                _encode(after),
                0 if after.state is State.ONLINE else retention.forget_seconds,
                "" if before is None else _index_name(before),
                _index_name(after),
                _encode([_text(change) for change in item.changes]),
                _encode([_text((c.since, c.state, c.node)) for c in item.changes]),
            ]
        outcomes: list[int] = await self._connection.run_script(_WRITE, keys, *arguments)
        return outcomes

    def _by_shard(self, client_ids: Iterable[str]) -> dict[int, list[str]]:
        groups: dict[int, list[str]] = {}
        for client_id in client_ids:
            groups.setdefault(self._keys.shard(client_id), []).append(client_id)
        return groups

    async def history(self, client_id: str) -> Sequence[Change]:
        """Return a client's last changes, the newest first.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        with self._connection.using() as redis:
            values = await redis.lrange(self._keys.history(client_id), 0, -1)
        decode = msgspec.json.Decoder(tuple[int, State, str]).decode
        return [Change(client_id, state, node, since) for since, state, node in map(decode, values)]


def _text(value: Any) -> str:
    """JSON: the store's scripts unpack no bytes inside MessagePack."""
    return msgspec.json.encode(value).decode()


def _index_name(record: Record) -> str:
    return f"{record.state.value}:{record.node}"


def _stored(value: object) -> StoredRecord:
    if not isinstance(value, bytes):
        return StoredRecord(None, b"")
    try:
        return StoredRecord(_decode(value), value)
    except MALFORMED:
        return StoredRecord(None, value)  # not ours, or of another version: to be replaced
