"""The log of revocations in the store: a stream, so that every replica reads every entry once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from liveconnect.common.jsonerrors import MALFORMED
from liveconnect.webhook.adapters.commands import Commands
from liveconnect.webhook.revocations import LONGEST_SECONDS, Revocation

BEGINNING: Final = "0-0"
_PAGE: Final = 1000
_REVOKED: Final = b"revoked"
_WITHDRAWN: Final = b"withdrawn"

_decode: Final = msgspec.json.Decoder(Revocation).decode
_encode: Final = msgspec.json.Encoder().encode


class Entry(msgspec.Struct, frozen=True):
    """One entry: either of the two."""

    id: str
    revocation: Revocation | None = None
    withdrawn: str = ""
    """Id of the revocation that is no longer in force."""


class RevocationLog:
    """Appends and reads."""

    def __init__(self, store: Commands, key: str) -> None:
        """Make it.

        Args:
            store: where it is.
            key: of the stream.
        """
        self._store = store
        self._key = key

    async def append(self, revocation: Revocation, now: float) -> Revocation:
        """Add a revocation; return it with its id and time, which are the store's.

        Entries that are older than any revocation lasts are dropped.

        Raises:
            StoreUnavailableError: it may have been added, or not.
        """
        identifier = await self._add(_REVOKED, _encode(revocation), now)
        return _stamped(identifier, revocation)

    async def withdraw(self, identifier: str, now: float) -> None:
        """Put a revocation out of force.

        Raises:
            StoreUnavailableError: it may have been done, or not.
        """
        await self._add(_WITHDRAWN, identifier.encode(), now)

    async def read_after(self, identifier: str) -> Sequence[Entry]:
        """Return the next entries after one, at most a page of them.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        command = ("XRANGE", self._key, f"({identifier}", "+", "COUNT", _PAGE)
        (rows,) = await self._store.pipelined(command)
        return [_entry(_text(row[0]), row[1]) for row in rows]

    async def _add(self, name: bytes, value: bytes, now: float) -> str:
        oldest = max(int((now - LONGEST_SECONDS) * 1000), 0)
        command = ("XADD", self._key, "MINID", "~", oldest, "*", name, value)
        (identifier,) = await self._store.pipelined(command)
        return _text(identifier)


def _entry(identifier: str, fields: dict[bytes, bytes]) -> Entry:
    withdrawn = fields.get(_WITHDRAWN)
    if withdrawn is not None:
        return Entry(identifier, withdrawn=withdrawn.decode("utf-8", "replace"))
    try:
        return Entry(identifier, _stamped(identifier, _decode(fields.get(_REVOKED, b""))))
    except MALFORMED:
        return Entry(identifier)  # of another version; the next ones still count


def _stamped(identifier: str, revocation: Revocation) -> Revocation:
    at = int(identifier.partition("-")[0]) / 1000
    return msgspec.structs.replace(revocation, id=identifier, at=at)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
