"""Which clients are members of a group: those whose last token named it.

Hook bodies of presence carry no groups, so they are noted when a token lets a client in. A client's
own note says which groups it is in now; a group's list may hold some that have left, which whoever
reads it finds out and takes out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec

from liveconnect.webhook.adapters.commands import Commands
from liveconnect.webhook.adapters.keyspace import Keyspace

MOST_GROUPS: Final = 64
"""Of one client; further ones are not noted."""
_KEPT_SECONDS: Final = 31 * 24 * 3600
"""A bit longer than any session lasts (`contract.answers.MAX_LIFETIME_SECONDS`)."""
_AFTER_ALL: Final = b"\xff"
"""Sorts after every UTF-8 text."""

_Command = tuple[Any, ...]


class GroupIndex:
    """Notes who is in which group, and finds them."""

    def __init__(self, store: Commands, keys: Keyspace) -> None:
        self._store = store
        self._keys = keys

    def note(self, client_id: str, groups: Collection[str]) -> list[_Command]:
        """Return the commands that note a client's groups instead of those that it had."""
        own = self._keys.groups_of(client_id)
        kept = sorted(groups)[:MOST_GROUPS]
        if not kept:
            return [("DEL", own)]
        shard = self._keys.shard(client_id)
        commands: list[_Command] = [
            ("SET", own, msgspec.json.encode(kept).decode(), "EX", _KEPT_SECONDS)
        ]
        for group in kept:
            key = self._keys.group(shard, _digest(group))
            commands += [("ZADD", key, 0, client_id), ("EXPIRE", key, _KEPT_SECONDS)]
        return commands

    async def members(
        self, group: str, shard: int, after: str, prefix: str, limit: int
    ) -> tuple[Sequence[str], str | None]:
        """Return some members of one shard, in the order of their ids.

        Args:
            group: its name.
            shard: where.
            after: the client id that the ones before ended with; empty at the beginning.
            prefix: what their ids begin with.
            limit: how many are looked at.

        Returns:
            The members, and the last client id that was looked at; None after the last.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        key = self._keys.group(shard, _digest(group))
        first = b"(" + after.encode() if after else b"[" + prefix.encode()
        last = b"[" + prefix.encode() + _AFTER_ALL
        (listed,) = await self._store.pipelined(
            ("ZRANGE", key, first, last, "BYLEX", "LIMIT", 0, limit)
        )
        found = [client_id.decode() for client_id in listed]
        notes = await self._store.pipelined(*(("GET", self._keys.groups_of(one)) for one in found))
        left = [one for one, note in zip(found, notes, strict=True) if not _names(note, group)]
        if left:
            await self._store.pipelined(("ZREM", key, *left))
        gone = frozenset(left)
        members = [one for one in found if one not in gone]
        return members, found[-1] if len(found) == limit else None


def _names(note: bytes | None, group: str) -> bool:
    return note is not None and group in msgspec.json.decode(note, type=list[str])


def _digest(group: str) -> str:
    # Hashed: a key is no place for a name of any length.
    return hashlib.sha256(group.encode("utf-8", "surrogatepass")).hexdigest()[:40]
