"""What the replicas of the auth service tell each other through the store."""

from __future__ import annotations

import secrets
from typing import Final

from liveconnect.webhook.adapters.store_connection import Script, StoreConnection

_HOLD: Final = Script("""
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")
_RELEASE: Final = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
""")


class StoreMarks:
    """A few keys that are no client's."""

    def __init__(self, connection: StoreConnection) -> None:
        self._connection = connection
        self._keys = connection.keys
        self._me = secrets.token_hex(8)

    async def suspect(self) -> None:
        """Note that events may have been lost.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        with self._connection.using() as redis:
            await redis.incr(self._keys.mark("suspicions"))

    async def suspicions(self) -> str:
        """Return something that changes whenever events may have been lost.

        Either a replica said so, or another process of the store answers than before: it may have
        been written to a second less.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        with self._connection.using() as redis:
            count = await redis.get(self._keys.mark("suspicions"))
        return " ".join([(count or b"0").decode(), *sorted(await self._connection.lives())])

    async def hold(self, task: str, milliseconds: int) -> bool:
        """Take or keep a task that one replica is to do; False if another one has it.

        Two may hold it for a moment when the store fails over. All that is done under it may be
        done twice.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        keys = [self._keys.mark(task)]
        return bool(await self._connection.run_script(_HOLD, keys, self._me, milliseconds))

    async def release(self, task: str) -> None:
        """Let another replica take a task at once.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        await self._connection.run_script(_RELEASE, [self._keys.mark(task)], self._me)

    async def note(self, name: str, value: str) -> None:
        """Remember a text.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        with self._connection.using() as redis:
            await redis.set(self._keys.mark(name), value)

    async def noted(self, name: str) -> str | None:
        """Return a text that was remembered.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        with self._connection.using() as redis:
            value = await redis.get(self._keys.mark(name))
        return None if value is None else value.decode()
