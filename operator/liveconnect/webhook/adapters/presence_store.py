"""The presence store: Redis or Valkey, one key for each client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from liveconnect.common.jsonerrors import MALFORMED
from liveconnect.webhook.presence import Record, State

KEY_PREFIX: Final = "liveconnect:presence:"
FORGET_AFTER_SECONDS: Final = 30 * 24 * 3600
"""Records of clients that are not online are dropped after this."""

_TIMEOUT_SECONDS: Final = 2.0

_COMPARE_AND_SET: Final = """
local current = redis.call('GET', KEYS[1])
if current ~= (ARGV[1] ~= '' and ARGV[1]) then return 0 end
if ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
return 1
"""
"""Write a record if it still is what it was when it was read; '' stands for no record. (A missing
key is `false` in Lua, and `'' ~= '' and ''` is false as well.)"""


class StoreUnavailableError(Exception):
    """The store cannot be asked; the message says why, without the URL and its password."""


class StoredRecord(msgspec.Struct, frozen=True):
    """A record and the very bytes that it was read from."""

    record: Record | None
    version: bytes


class Change(msgspec.Struct, frozen=True):
    """A record that is to replace what was read."""

    record: Record
    version: bytes


_decode: Final = msgspec.json.Decoder(Record).decode
_encode: Final = msgspec.json.Encoder().encode


class PresenceStore:
    """Reads records, and writes them if nobody else did in between."""

    def __init__(self, url: str) -> None:
        self._redis: Redis = Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 1),
            health_check_interval=15,
            decode_responses=False,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
        self._compare_and_set = self._redis.register_script(_COMPARE_AND_SET)

    async def read(self, client_ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        """Return the records of these clients.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        try:
            values = await self._redis.mget([KEY_PREFIX + client_id for client_id in client_ids])
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        return {
            client_id: _stored(value) for client_id, value in zip(client_ids, values, strict=True)
        }

    async def write(self, changes: Sequence[Change]) -> frozenset[str]:
        """Write records in one round trip.

        Returns:
            The client ids whose record was changed by somebody else since it was read.

        Raises:
            StoreUnavailableError: the store does not answer; some may have been written.
        """
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for change in changes:
                    await self._compare_and_set(
                        keys=[KEY_PREFIX + change.record.client_id],
                        args=[change.version, _encode(change.record), _lifetime(change.record)],
                        client=pipeline,
                    )
                outcomes = await pipeline.execute()
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        return frozenset(
            change.record.client_id
            for change, outcome in zip(changes, outcomes, strict=True)
            if not outcome
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


def _stored(value: object) -> StoredRecord:
    if not isinstance(value, bytes):
        return StoredRecord(None, b"")
    try:
        return StoredRecord(_decode(value), value)
    except MALFORMED:
        return StoredRecord(None, value)  # not ours, or of another version: to be replaced


def _lifetime(record: Record) -> int:
    return 0 if record.state is State.ONLINE else FORGET_AFTER_SECONDS


def _unavailable(error: Exception) -> StoreUnavailableError:
    return StoreUnavailableError(type(error).__name__)
