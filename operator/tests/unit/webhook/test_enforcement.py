"""A new process and the list of revocations."""

from __future__ import annotations

import asyncio
from typing import Any

from liveconnect.webhook.adapters.revocation_log import RevocationLog
from liveconnect.webhook.adapters.session_index import SessionIndex
from liveconnect.webhook.adapters.store_connection import StoreUnavailableError
from liveconnect.webhook.enforcement import Enforcement
from tests.unit.webhook.test_revoked import token


class Store:
    """A store that is away until it is back."""

    def __init__(self) -> None:
        self.away = True
        self.commands: list[tuple[Any, ...]] = []
        self.reached = asyncio.Event()

    async def pipelined(self, *commands: tuple[Any, ...]) -> list[Any]:
        if self.away:
            raise StoreUnavailableError("away")
        self.commands += commands
        self.reached.set()
        return [[] for _ in commands]

    async def written(self, *commands: tuple[Any, ...]) -> None:
        await self.pipelined(*commands)


async def test_it_is_ready_when_it_knows_the_list_or_cannot_for_a_while() -> None:
    store, clock = Store(), [1000.0]
    log = RevocationLog(store, "revocations")
    index = SessionIndex(store, str)
    enforcement = Enforcement(log, index, None, list, clock=lambda: clock[0])
    await enforcement._follow()
    assert "revocations" in (enforcement.why_not_ready() or "")
    clock[0] += 31
    assert enforcement.why_not_ready() is None, "better some revoked token than nobody at all"
    clock[0] -= 31
    store.away = False
    await enforcement._follow()
    assert enforcement.why_not_ready() is None


async def test_the_index_is_written_when_the_store_is_back() -> None:
    store = Store()
    index = SessionIndex(store, str, max_queued=10)
    for number in range(30):
        index.put(f"phone-{number}", token())
    task = asyncio.create_task(index.run())
    await asyncio.sleep(0)
    assert store.commands == []
    store.away = False
    async with asyncio.timeout(5):
        await store.reached.wait()
    task.cancel()
    written = {command[2] for command in store.commands if command[0] == "SET"}
    assert written == {f"phone-{number}" for number in range(20, 30)}, "the newest"
