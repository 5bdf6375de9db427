"""Requests on disk: a table in the outbox's file, so that a request and its message are one commit.

A request with an `Idempotency-Key` is a message of the outbox, too: either both are there after a
crash, or neither.
"""

from __future__ import annotations

from typing import Final

from liveconnect.common.logs import get_logger
from liveconnect.gateway.adapters.outboxfile import OutboxFile
from liveconnect.gateway.remembered import Remembered, encode_reply, read_remembered
from liveconnect.gateway.replies import Reply

# Texts as bytes: SQLite fails a whole query for one that is not UTF-8.
_ALL: Final = (
    "SELECT rowid, CAST(token AS BLOB), CAST(caller AS BLOB), CAST(client_id AS BLOB), timeout, "
    "expires, acknowledged, finished, answer FROM requests"
)

_log = get_logger(__name__)


class RequestFile:
    """Implements `remembered.Journal`."""

    def __init__(self, file: OutboxFile) -> None:
        self._file = file
        self._answers = 0
        """How many were noted; and how many of them, the first ones, survive the machine:"""
        self._settled = 0

    def client_id(self, topic_filter: str, otherwise: str) -> str:
        """Return the client id that hears the answers on a filter; from now on this, if none did.

        Another filter is another session: the old one's subscription ends with it, unused.
        """
        return self._file.fact(f"client-id of {topic_filter}", otherwise)

    def load(self, now: float) -> list[Remembered]:
        """Return what an earlier process wrote down; what cannot be read is deleted.

        Raises:
            OutboxFailedError: the file cannot be read.
        """
        loaded, unreadable = [], 0
        for number, *row in self._file.read(_ALL):
            one = read_remembered(row, now)
            if one is None:
                unreadable += 1
                self._file.write("DELETE FROM requests WHERE rowid = ?", number)
            else:
                loaded.append(one)
        if unreadable:
            _log.warning("requests on disk cannot be read and are forgotten", count=unreadable)
        return loaded

    def clear(self) -> None:
        """Forget all: requests are off."""
        self._file.write("DELETE FROM requests")

    def add(self, one: Remembered) -> None:
        """Write a request down."""
        self._file.write(
            "INSERT OR REPLACE INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
            one.token, one.caller, one.client_id, one.timeout, one.expires, one.acknowledged,
            one.finished,
        )  # fmt: skip

    def acknowledge(self, token: str) -> None:
        """Note that a broker has the request."""
        self._file.write("UPDATE requests SET acknowledged = 1 WHERE token = ?", token)

    def answer(self, token: str, reply: Reply, now: float) -> None:
        """Note the answer."""
        self._answers += 1
        self._file.write(
            "UPDATE requests SET finished = ?, answer = ? WHERE token = ?",
            now, encode_reply(reply), token,
        )  # fmt: skip

    def remove(self, token: str) -> None:
        """Forget the request."""
        self._file.write("DELETE FROM requests WHERE token = ?", token)

    async def settled(self) -> None:
        """Return when the answers that were noted so far survive the machine.

        Raises:
            OutboxFailedError: they do not.
        """
        noted = self._answers
        await self._file.committed()
        if self._settled < noted:
            await self._file.synced()
            self._settled = max(self._settled, noted)
