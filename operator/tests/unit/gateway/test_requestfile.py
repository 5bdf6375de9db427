"""Requests on disk, in files of earlier versions, too; what an acknowledgement waits for."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from liveconnect.gateway.adapters.outboxfile import OutboxFile
from liveconnect.gateway.adapters.requestfile import RequestFile
from liveconnect.gateway.outbox import OutboxFailedError
from liveconnect.gateway.remembered import Remembered
from liveconnect.gateway.replies import Reply

NOW = 1_000_000.0
ONE = Remembered("0f" * 16, "shop", "phone", 30, NOW + 30)
REPLY = Reply("clients/phone/replies/0/x", b"\xff", None, None, (("a", "b"),))


class Disk(OutboxFile):
    """A file that counts what it is asked to bring to the disk, and may fail at it."""

    syncs = 0
    broken = False

    async def synced(self) -> None:
        self.syncs += 1
        if self.broken:
            raise OutboxFailedError("the disk failed")
        await super().synced()


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Disk]:
    made = Disk(tmp_path / "outbox.db")
    yield made
    made.close()


async def test_what_is_written_is_read(tmp_path: Path, disk: Disk) -> None:
    journal = RequestFile(disk)
    other = Remembered("1f" * 16, "shop", "phone", 30, NOW + 30)
    for one in (ONE, other):
        journal.add(one)
    journal.acknowledge(ONE.token)
    journal.answer(ONE.token, REPLY, NOW + 1)
    journal.remove(other.token)
    await journal.settled()
    (found,) = journal.load(NOW + 2)
    assert (found.token, found.expires, found.acknowledged) == (ONE.token, NOW + 30, True)
    assert (found.answer, found.finished) == (REPLY, NOW + 1)
    journal.clear()
    await disk.committed()
    assert journal.load(NOW) == []


async def test_only_answers_that_were_noted_are_waited_for_and_once(disk: Disk) -> None:
    journal = RequestFile(disk)
    journal.add(ONE)
    await journal.settled()
    assert disk.syncs == 0
    journal.answer(ONE.token, REPLY, NOW)
    await journal.settled()
    await journal.settled()
    assert disk.syncs == 1


async def test_a_disk_that_failed_is_asked_again(disk: Disk) -> None:
    journal = RequestFile(disk)
    journal.answer(ONE.token, REPLY, NOW)
    disk.broken = True
    for _ in range(2):
        with pytest.raises(OutboxFailedError):
            await journal.settled()
    disk.broken = False
    await journal.settled()
    await journal.settled()
    assert disk.syncs == 3


async def test_full_disk_keeps_the_answer_for_the_next_commit(disk: Disk) -> None:
    """The device's answer is not acknowledged, and is written when there is room again."""
    journal = RequestFile(disk)
    journal.add(ONE)
    await disk.committed()
    pages = disk.read("PRAGMA page_count")[0][0]
    disk.read(f"PRAGMA max_page_count = {pages}")
    journal.answer(ONE.token, Reply(REPLY.topic, b"x" * 100_000), NOW)
    for _ in range(2):
        with pytest.raises(OutboxFailedError, match="full"):
            await journal.settled()
    assert disk.syncs == 0
    disk.read("PRAGMA max_page_count = 100000")
    await journal.settled()
    (found,) = journal.load(NOW)
    assert found.answer is not None
    assert len(found.answer.payload) == 100_000


async def test_full_disk_refuses_a_request_and_leaves_nothing_of_it(disk: Disk) -> None:
    journal = RequestFile(disk)
    pages = disk.read("PRAGMA page_count")[0][0]
    disk.read(f"PRAGMA max_page_count = {pages}")
    journal.add(Remembered("0f" * 16, "shop", "p" * 100_000, 30, NOW + 30))
    with pytest.raises(OutboxFailedError, match="full"):
        await disk.committed()
    journal.remove(ONE.token)
    await disk.committed()
    assert journal.load(NOW) == []


async def test_file_of_a_version_that_had_no_requests(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(
            "CREATE TABLE messages (seq INTEGER PRIMARY KEY, caller TEXT NOT NULL, keyed INTEGER "
            "NOT NULL, expires REAL, packet_id INTEGER NOT NULL, released INTEGER NOT NULL, "
            "body BLOB NOT NULL);"
            "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
            "INSERT INTO facts VALUES ('client-id', 'old'); PRAGMA user_version = 1;"
        )
    file = OutboxFile(path)
    journal = RequestFile(file)
    assert journal.load(NOW) == []
    journal.add(ONE)
    await file.committed()
    file.close()
    again = OutboxFile(path)
    assert [one.token for one in RequestFile(again).load(NOW)] == [ONE.token]
    assert again.fact("client-id", "new") == "old"
    again.close()


async def test_each_filter_has_one_client_id(disk: Disk) -> None:
    journal = RequestFile(disk)
    assert journal.client_id("a/+", "first") == "first"
    assert journal.client_id("a/+", "second") == "first"
    assert journal.client_id("b/+", "second") == "second"
