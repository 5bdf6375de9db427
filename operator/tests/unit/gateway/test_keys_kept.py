"""For how long an `Idempotency-Key` makes a retry safe."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from liveconnect.gateway.adapters.outboxfile import OutboxFile
from liveconnect.gateway.dispatch import Dispatch
from liveconnect.gateway.messages import Message
from liveconnect.gateway.outbox import Claim, Stored

NOW = 1_700_000_000.0
DAY_SECONDS = 24 * 3600
CLAIM = Claim("orders", "key-1", b"fingerprint")


class Outbox:
    """Takes messages, and writes them into the file."""

    def __init__(self, file: OutboxFile) -> None:
        self._file = file
        self.behind = False
        self.total = 0
        self.messages: Counter[str] = Counter()
        self.failures: list[object] = []

    def add(self, stored: Stored, _done: object) -> None:
        self._file.add(stored)
        self._file.after_commit(self.failures.append)


class Gateway:
    """A way for messages, on a clock that is moved by hand."""

    def __init__(self, path: Path) -> None:
        self.now = NOW
        self.file = OutboxFile(path)
        self.outbox = Outbox(self.file)
        outbox: Any = self.outbox
        link: Any = None
        self._dispatch = Dispatch(link, outbox, self.file, 10, lambda: self.now)

    async def publish(self) -> int:
        """Publish with the key; the message's number."""
        self._dispatch.publish(Message("a", b"x", 1, retain=False), CLAIM.caller, CLAIM)
        await asyncio.sleep(0)  # the commit is at the end of the loop's turn
        assert not any(self.outbox.failures)
        used = self._dispatch.used(CLAIM)
        assert used is not None
        return used.seq

    def knows(self) -> bool:
        return self._dispatch.used(CLAIM) is not None


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    made = Gateway(tmp_path / "outbox.db")
    yield made
    made.file.close()


async def test_a_key_is_remembered_for_24_hours(gateway: Gateway) -> None:
    await gateway.publish()
    gateway.now += DAY_SECONDS
    gateway.file.purge(gateway.now)
    await asyncio.sleep(0)
    assert gateway.knows()
    gateway.now += 1
    assert not gateway.knows()


@pytest.mark.parametrize("purged", [True, False])
async def test_after_that_it_is_a_new_key(gateway: Gateway, purged: bool) -> None:
    """Also in the seconds before the file forgets it."""
    first = await gateway.publish()
    gateway.now += DAY_SECONDS + 1
    if purged:
        gateway.file.purge(gateway.now)
        await asyncio.sleep(0)
    assert await gateway.publish() != first
