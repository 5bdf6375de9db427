"""Presence events on their way to the store.

VerneMQ holds a client up until its presence hooks are answered, so answers do not wait for the
store: events are queued here and written in batches, in order, and again until they are written.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from prometheus_client import Counter, Gauge, Histogram

from liveconnect.common.logs import get_logger
from liveconnect.webhook.adapters.presence_writer import Store, write_events
from liveconnect.webhook.adapters.store_connection import StoreUnavailableError
from liveconnect.webhook.presence import Event

MAX_QUEUED: Final = 200_000
"""Events that wait at most, about 60 MB; the oldest are dropped beyond that."""
_BATCH: Final = 512
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 2.0

QUEUED: Final = Gauge(
    "liveconnect_webhook_presence_queue_events", "Presence events that are not yet written."
)
DROPPED: Final = Counter(
    "liveconnect_webhook_presence_dropped_total", "Presence events lost, the queue being full."
)
WRITTEN: Final = Counter("liveconnect_webhook_presence_written_total", "Presence events written.")
CONFLICTS: Final = Counter(
    "liveconnect_webhook_presence_conflicts_total",
    "Records that another replica changed between read and write; they are written again.",
)
FAILURES: Final = Counter(
    "liveconnect_webhook_presence_store_failures_total", "Attempts that the store did not answer."
)
LAG: Final = Histogram(
    "liveconnect_webhook_presence_lag_seconds",
    "Time from a presence hook to its record in the store.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)

_log = get_logger(__name__)


class Marks(Protocol):
    """What the queue needs of the store besides records."""

    async def suspect(self) -> None:
        """Note that events may have been lost."""


def milliseconds() -> int:
    """Return the time since the epoch."""
    return time.time_ns() // 1_000_000


class PresenceQueue:
    """Takes events at once and writes them soon."""

    def __init__(
        self,
        store: Store,
        marks: Marks,
        *,
        max_queued: int = MAX_QUEUED,
        clock: Callable[[], int] = milliseconds,
    ) -> None:
        self._store = store
        self._marks = marks
        self._clock = clock
        self._events: deque[Event] = deque()
        self._max_queued = max_queued
        self._filled = asyncio.Event()
        self._filled.set()
        # The process before this one may not have written all that it had heard.
        self._suspicious = True
        self._idle = asyncio.Event()
        self._oldest: int | None = None
        self.fault: str | None = None
        """Why the last attempt to write failed."""

    @property
    def oldest_at(self) -> int | None:
        """When the oldest event that is not written yet happened (milliseconds)."""
        if self._oldest is not None:
            return self._oldest
        return self._events[0].at if self._events else None

    def put(self, event: Event) -> None:
        """Take an event; never waits, never fails."""
        if len(self._events) >= self._max_queued:
            self._events.popleft()
            self._suspicious = True
            DROPPED.inc()
        self._events.append(event)
        self._idle.clear()
        self._filled.set()

    async def run(self) -> None:
        """Write events until cancelled."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._events or self._suspicious:
                await self._write_batch()
            QUEUED.set(0)
            self._idle.set()

    async def flush(self, within: float) -> None:
        """Wait until everything is written, but not longer than `within` seconds."""
        try:
            async with asyncio.timeout(within):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("presence events lost at the end", events=len(self._events))

    async def _write_batch(self) -> None:
        batch = [self._events.popleft() for _ in range(min(_BATCH, len(self._events)))]
        self._oldest = batch[0].at if batch else None
        pending: dict[str, list[Event]] = {}
        for event in batch:
            pending.setdefault(event.client_id, []).append(event)
        pause = _FIRST_PAUSE_SECONDS
        while pending or self._suspicious:
            QUEUED.set(len(self._events) + sum(len(events) for events in pending.values()))
            try:
                pending = await self._write(pending)
            except StoreUnavailableError as error:
                self._failed(str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            else:
                self._worked()
        self._oldest = None
        self._count(batch)

    async def _write(self, pending: dict[str, list[Event]]) -> dict[str, list[Event]]:
        """Write what can be written; return what somebody else was faster with."""
        if self._suspicious:
            await self._marks.suspect()
            self._suspicious = False
        if not pending:
            return {}
        lost = (await write_events(self._store, pending, self._clock())).lost
        if lost:
            CONFLICTS.inc(len(lost))
        return {client_id: pending[client_id] for client_id in lost}

    def _count(self, batch: Sequence[Event]) -> None:
        now = self._clock()
        WRITTEN.inc(len(batch))
        for event in batch:
            LAG.observe(max(now - event.at, 0) / 1000)

    def _failed(self, reason: str) -> None:
        FAILURES.inc()
        # What was written last may be lost with the store that is away.
        self._suspicious = True
        if self.fault is None:
            _log.warning("the presence store is away", reason=reason, waiting=len(self._events))
        self.fault = reason

    def _worked(self) -> None:
        if self.fault is not None:
            _log.info("the presence store is back", waiting=len(self._events))
        self.fault = None
