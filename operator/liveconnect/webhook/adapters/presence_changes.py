"""The stream of changes, to be followed without gaps.

Redis' streams are written with the records and keep their ids over restarts, so whoever remembers
a position goes on there; what was cut off meanwhile is noticed, never skipped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from liveconnect.webhook.adapters.store_connection import StoreConnection
from liveconnect.webhook.presence import Change

_ID: Final = re.compile(r"\d{1,20}-\d{1,20}")
_SEPARATOR: Final = "."
_BEGINNING: Final = "0-0"

_decode: Final = msgspec.json.Decoder(Change).decode


class PositionLostError(Exception):
    """What followed a position is not there any more: begin anew with a list."""


class Position(msgspec.Struct, frozen=True):
    """A place in the stream: for each shard the id of the last change before it."""

    ids: tuple[str, ...]

    def __str__(self) -> str:
        return _SEPARATOR.join(self.ids)

    def moved(self, shard: int, entry: str) -> Position:
        """Return the place after a change."""
        return Position((*self.ids[:shard], entry, *self.ids[shard + 1 :]))


class PresenceChanges:
    """Reads what changed."""

    def __init__(self, connection: StoreConnection) -> None:
        self._connection = connection
        self._keys = connection.keys

    def parse(self, text: str) -> Position | None:
        """Return the position that `str` gave; None if it is none of this store's."""
        ids = tuple(text.split(_SEPARATOR))
        if len(ids) != len(self._keys.shards) or not all(map(_ID.fullmatch, ids)):
            return None
        return Position(ids)

    async def newest(self) -> Position:
        """Return the place after all changes so far.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        answers = await self._connection.pipelined(
            *(
                ("XREVRANGE", self._keys.changes(shard), "+", "-", "COUNT", 1)
                for shard in self._keys.shards
            )
        )
        return Position(
            tuple(_entries(answer)[0][0] if answer else _BEGINNING for answer in answers)
        )

    async def after(self, position: Position, limit: int) -> Sequence[tuple[Position, Change]]:
        """Return the next changes of each shard, each with the place after it.

        Raises:
            PositionLostError: some of them were cut off, or the store forgot them.
            StoreUnavailableError: the store does not answer.
        """
        commands: list[tuple[Any, ...]] = []
        for shard in self._keys.shards:
            key, last = self._keys.changes(shard), position.ids[shard]
            # The entry at the position is read with them: it is there, or something is missing.
            commands.append(("XRANGE", key, last, "+", "COUNT", limit + 1))
        answers = await self._connection.pipelined(*commands)
        found: list[tuple[Position, Change]] = []
        for shard, answer in zip(self._keys.shards, answers, strict=True):
            entries, last = _entries(answer), position.ids[shard]
            if last != _BEGINNING:
                if not entries or entries[0][0] != last:
                    raise PositionLostError
                entries = entries[1:]
            for entry, value in entries[:limit]:
                position = position.moved(shard, entry)
                found.append((position, _decode(value)))
        return found


def _entries(answer: Any) -> list[tuple[str, bytes]]:
    """Entries of a stream as ids and what is told; fields come flat or as a map."""
    found = []
    for entry, fields in answer:
        values = (
            fields
            if isinstance(fields, dict)
            else dict(zip(fields[::2], fields[1::2], strict=True))
        )
        found.append((entry.decode(), values[b"c"]))
    return found
