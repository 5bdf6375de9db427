"""The outbox on disk: SQLite, one process, one file.

Statements run on the event loop: in WAL mode a commit is a write to the page cache, and one commit
serves all that a turn of the loop asks for. What has to survive the machine, and not only the
process, waits for `synced`: an fsync in a thread, shared by all who wait (docs/adr/0013).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from liveconnect.common.logs import get_logger
from liveconnect.gateway.outbox import (
    Claim,
    OutboxFailedError,
    Parked,
    Stored,
    Used,
    decode_message,
    encode_message,
)

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS messages (
  seq INTEGER PRIMARY KEY, caller TEXT NOT NULL, keyed INTEGER NOT NULL, expires REAL,
  packet_id INTEGER NOT NULL, released INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
  caller TEXT NOT NULL, key TEXT NOT NULL, fingerprint BLOB NOT NULL, seq INTEGER NOT NULL,
  expires INTEGER NOT NULL, outcome TEXT, PRIMARY KEY (caller, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS keys_by_expiry ON keys (expires);
CREATE INDEX IF NOT EXISTS keys_by_seq ON keys (seq);
CREATE TABLE IF NOT EXISTS parked (
  seq INTEGER PRIMARY KEY, caller TEXT NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL,
  body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS requests (
  token TEXT PRIMARY KEY, caller TEXT NOT NULL, client_id TEXT NOT NULL, timeout INTEGER NOT NULL,
  expires REAL NOT NULL, acknowledged INTEGER NOT NULL, finished REAL NOT NULL, answer BLOB);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_VERSION: Final = 1
_CHECKPOINT_PAGES: Final = 4000
_PURGED_AT_ONCE: Final = 500

Row = tuple[Any, ...]

_log = get_logger(__name__)


class OutboxFile:
    """The file. Writes are collected and committed together at the end of the loop's turn."""

    def __init__(self, path: Path) -> None:
        """Open or make the file.

        Raises:
            OutboxFailedError: it cannot be used, for instance because another process does.
        """
        self._path = path
        try:
            self._connection = _open(path)
            self.next_seq = 1 + self._one("SELECT max(m) FROM (SELECT max(seq) m FROM messages "
                                          "UNION ALL SELECT max(seq) FROM keys "
                                          "UNION ALL SELECT max(seq) FROM parked)")  # fmt: skip
            self._log = os.open(f"{path}-wal", os.O_RDONLY)
        except (OSError, sqlite3.Error) as error:
            raise OutboxFailedError(f"{path}: {error}") from error
        self._pending: list[tuple[str, Row]] = []
        self._then: list[Callable[[OutboxFailedError | None], None]] = []
        self._flushing = False
        self._sync_lock = asyncio.Lock()
        self._next_sync: asyncio.Task[None] | None = None

    def _one(self, statement: str, *values: Any) -> int:
        found = self._connection.execute(statement, values).fetchone()
        return int(found[0] or 0) if found else 0

    def close(self) -> None:
        """Write what waits, and close."""
        self._flush()
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
        os.close(self._log)

    # --- writing

    def write(self, statement: str, *values: Any) -> None:
        """Collect a statement for the next commit, for this table or one beside it.

        One that adds is given up if that fails, and its caller told so; all others are tried
        again with the next.
        """
        self._pending.append((statement, values))
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def after_commit(self, then: Callable[[OutboxFailedError | None], None]) -> None:
        """Call when everything that was asked for so far is committed, or failed."""
        self._then.append(then)
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        pending, self._pending = self._pending, []
        then, self._then = self._then, []
        failure: OutboxFailedError | None = None
        if pending:
            try:
                self._commit(pending)
            except sqlite3.Error as error:
                failure = OutboxFailedError(f"the outbox cannot be written: {error}")
                self._pending = [one for one in pending if not one[0].startswith("INSERT")]
                _log.error("the outbox cannot be written", reason=str(error))
        for call in then:
            call(failure)

    def _commit(self, pending: list[tuple[str, Row]]) -> None:
        execute = self._connection.execute
        execute("BEGIN")
        try:
            for statement, values in pending:
                execute(statement, values)
            execute("COMMIT")
        except sqlite3.Error:
            with contextlib.suppress(sqlite3.Error):
                execute("ROLLBACK")
            raise

    def add(self, stored: Stored) -> None:
        """Add a message."""
        self.write(
            "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)",
            stored.seq, stored.caller, stored.keyed, stored.expires,
            stored.packet_id, stored.released, encode_message(stored.message),
        )  # fmt: skip

    def assign(self, stored: Stored) -> None:
        """Note under which packet id a message is sent, before it is."""
        self.write("UPDATE messages SET packet_id = ? WHERE seq = ?", stored.packet_id, stored.seq)

    def release(self, stored: Stored) -> None:
        """Note that the broker has a message of QoS 2."""
        self.write("UPDATE messages SET released = 1 WHERE seq = ?", stored.seq)

    def remove(self, seq: int) -> None:
        """Forget a message that is published."""
        self.write("DELETE FROM messages WHERE seq = ?", seq)

    def claim(self, claim: Claim, seq: int, expires: int) -> None:
        """Note that a key is used for a message.

        One that has expired may still be there, and would fail everybody's commit.
        """
        self.write(
            "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, NULL)",
            claim.caller, claim.key, claim.fingerprint, seq, expires,
        )  # fmt: skip

    def conclude(self, seq: int, outcome: str) -> None:
        """Note what has become of the message of a key."""
        self.write("UPDATE keys SET outcome = ? WHERE seq = ?", outcome, seq)

    def park(self, parked: Parked) -> None:
        """Put a message aside."""
        self.remove(parked.seq)
        self.write(
            "INSERT INTO parked VALUES (?, ?, ?, ?, ?)",
            parked.seq, parked.caller, parked.reason, parked.at, encode_message(parked.message),
        )  # fmt: skip

    def unpark(self, seq: int) -> None:
        """Forget a message that was put aside."""
        self.write("DELETE FROM parked WHERE seq = ?", seq)

    def purge(self, now: float) -> None:
        """Forget some of the keys that have expired; called again and again."""
        self.write(
            "DELETE FROM keys WHERE (caller, key) IN "
            "(SELECT caller, key FROM keys WHERE expires < ? ORDER BY expires LIMIT ?)",
            int(now), _PURGED_AT_ONCE,
        )  # fmt: skip

    async def committed(self) -> None:
        """Return when everything that was asked for so far is committed: it survives the process.

        Raises:
            OutboxFailedError: it is not.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def tell(failure: OutboxFailedError | None) -> None:
            if done.done():
                return
            if failure is None:
                done.set_result(None)
            else:
                done.set_exception(failure)

        self.after_commit(tell)
        await done

    async def synced(self) -> None:
        """Return when everything that is committed by now survives the machine.

        Raises:
            OutboxFailedError: the disk failed.
        """
        if self._next_sync is None:
            self._next_sync = asyncio.get_running_loop().create_task(self._sync())
        await asyncio.shield(self._next_sync)

    async def _sync(self) -> None:
        async with self._sync_lock:
            self._next_sync = None  # who commits from now on needs another one
            loop = asyncio.get_running_loop()
            try:
                await loop.run_in_executor(None, os.fsync, self._log)
            except OSError as error:
                detail = f"the outbox cannot be synced: {error.strerror}"
                raise OutboxFailedError(detail) from error

    # --- reading

    def read(self, statement: str, *values: Any) -> list[Row]:
        """Return the rows of a table beside the outbox's.

        Raises:
            OutboxFailedError: they cannot be read.
        """
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise OutboxFailedError(f"{self._path}: {error}") from error

    def page(self, after: int, most: int) -> list[Stored]:
        """Return messages in their order, those after a number."""
        rows = self._connection.execute(
            "SELECT seq, body, caller, keyed, expires, packet_id, released FROM messages "
            "WHERE seq > ? ORDER BY seq LIMIT ?",
            (after, most),
        )
        return [
            Stored(
                seq, decode_message(body), caller, bool(keyed), expires, packet_id,
                bool(released), sent=packet_id != 0,
            )
            for seq, body, caller, keyed, expires, packet_id, released in rows
        ]  # fmt: skip

    def packet_ids(self) -> set[int]:
        """Return the packet ids that are in use."""
        rows = self._connection.execute("SELECT packet_id FROM messages WHERE packet_id != 0")
        return {packet_id for (packet_id,) in rows}

    def used(self, caller: str, key: str, now: float) -> Used | None:
        """Return what is known of a key."""
        row = self._connection.execute(
            "SELECT fingerprint, seq, outcome FROM keys "
            "WHERE caller = ? AND key = ? AND expires >= ?",
            (caller, key, int(now)),
        ).fetchone()
        return None if row is None else Used(*row)

    def parked(self, caller: str, after: int, most: int) -> list[Parked]:
        """Return a caller's messages that were put aside, in their order."""
        rows = self._connection.execute(
            "SELECT seq, caller, body, reason, at FROM parked "
            "WHERE caller = ? AND seq > ? ORDER BY seq LIMIT ?",
            (caller, after, most),
        )
        return [Parked(seq, who, decode_message(body), why, at) for seq, who, body, why, at in rows]

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return each caller's messages and bytes."""
        rows = self._connection.execute(
            "SELECT caller, count(*), sum(length(body)) FROM messages GROUP BY caller"
        )
        return {caller: (count, size) for caller, count, size in rows}

    def count_parked(self) -> int:
        """Return how many messages were put aside."""
        return self._one("SELECT count(*) FROM parked")

    def count_keys(self) -> int:
        """Return how many keys are remembered."""
        return self._one("SELECT count(*) FROM keys")

    def fact(self, name: str, otherwise: str) -> str:
        """Return what was written down under a name; now, if nothing was."""
        self._connection.execute("INSERT OR IGNORE INTO facts VALUES (?, ?)", (name, otherwise))
        row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0])


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None, timeout=5.0)
    # Held for ever: two processes with one outbox would send everything twice.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found not in {0, _VERSION}:
        raise sqlite3.Error(f"written by another version of the gateway ({found})")
    connection.executescript(_SCHEMA)
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("COMMIT")
    return connection
