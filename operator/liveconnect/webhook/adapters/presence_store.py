"""Presence in Valkey or Redis: written behind the hooks' backs, in order, retried while it is away.

Hook answers hold the client's CONNACK, so nothing here is waited for by them. Two auth pods may
write about the same client at once: the transition is made inside the store, by a script.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

from prometheus_client import Counter, Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError

from liveconnect.webhook.presence import Record, State

_LOG = logging.getLogger(__name__)
_PREFIX = "lc:client:"
_QUEUE = 100_000
_BATCH = 256
_RETRY_SECONDS = 0.5

_DROPPED = Counter(
    "liveconnect_webhook_presence_dropped_total", "Presence events lost: the queue was full."
)
_LAG = Gauge("liveconnect_webhook_presence_queue", "Presence events that wait for the store.")

#: The transition of `liveconnect.webhook.presence`, inside the store (a test holds them together).
_SCRIPT = """
local hook, node, now = ARGV[1], ARGV[2], ARGV[3]
local state, at = unpack(redis.call('HMGET', KEYS[1], 'state', 'node'))
if hook == 'online' then
  if state == 'online' and at == node then
    redis.call('HSET', KEYS[1], 'seen', now)
  else
    redis.call('HSET', KEYS[1], 'state', 'online', 'node', node, 'since', now, 'seen', now)
  end
elseif state == 'online' and at == node then
  redis.call('HSET', KEYS[1], 'state', 'offline', 'since', now, 'seen', now)
end
return 1
"""

_Event = tuple[str, str, str, int]


class PresenceStore:
    """The store; `start` it in a running loop."""

    def __init__(self, url_file: Path) -> None:
        self._url_file = url_file
        self._redis: Redis | None = None
        self._queue: asyncio.Queue[_Event] = asyncio.Queue(_QUEUE)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect lazily and begin to write."""
        url = self._url_file.read_text().strip()
        self._redis = Redis.from_url(
            url, decode_responses=True, socket_timeout=3, socket_connect_timeout=3,
            health_check_interval=15,
        )  # fmt: skip
        self._task = asyncio.create_task(self._write(), name="presence-writer")

    async def stop(self) -> None:
        """Write what is queued (for at most five seconds), then close."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._queue.join(), 5)
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._redis:
            await self._redis.aclose()

    def note(self, hook: str, client_id: str, node: str, now: int) -> None:
        """Queue an event; returns at once."""
        change = "online" if hook.startswith("on_register") else "offline"
        try:
            self._queue.put_nowait((change, client_id, node, now))
        except asyncio.QueueFull:
            _DROPPED.inc()

    async def get(self, client_id: str) -> Record | None:
        """One client's record.

        Raises:
            RedisError: when the store does not answer.
        """
        if self._redis is None:
            raise RedisError("not started")
        found = await self._redis.hgetall(_PREFIX + client_id)
        if not found:
            return None
        return Record(
            client_id, State(found["state"]), found["node"], int(found["since"]), int(found["seen"])
        )

    async def _write(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < _BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            await self._write_batch(batch)
            for _ in batch:
                self._queue.task_done()
            _LAG.set(self._queue.qsize())

    async def _write_batch(self, batch: list[_Event]) -> None:
        """Write in order; again until it is written (the transition may be made twice)."""
        warned = False
        while True:
            try:
                await self._send(batch)
            except (RedisError, OSError, TimeoutError) as error:
                if not warned:
                    _LOG.warning("presence store: %s; events wait", type(error).__name__)
                    warned = True
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _send(self, batch: list[_Event]) -> None:
        assert self._redis is not None  # noqa: S101 - started before the task
        pipeline = self._redis.pipeline(transaction=False)
        for change, client_id, node, now in batch:
            pipeline.eval(_SCRIPT, 1, _PREFIX + client_id, change, node, str(now))
        await pipeline.execute()
