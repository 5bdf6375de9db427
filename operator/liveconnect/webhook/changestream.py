"""`GET /v1/changes`: changes as server-sent events, without gaps.

The id of each event is a place in the store's stream, the same from every replica: who comes back
with `Last-Event-ID` goes on exactly there, or is told (410) that too much has happened meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from prometheus_client import Gauge

from liveconnect.common.problem import Problem
from liveconnect.common.process import Draining
from liveconnect.webhook.adapters.presence_changes import (
    Position,
    PositionLostError,
    PresenceChanges,
)
from liveconnect.webhook.adapters.presence_directory import Selection
from liveconnect.webhook.adapters.store_connection import StoreUnavailableError
from liveconnect.webhook.presence import Change
from liveconnect.webhook.presence.cloudevents import ChangeView

CONTENT_TYPE: Final = "text/event-stream"
_MAX_STREAMS: Final = 100
_POLL_SECONDS: Final = 0.25
_HEARTBEAT_SECONDS: Final = 15.0
_READ_AT_ONCE: Final = 500
_RETRY: Final = b"retry: 1000\n\n"

STREAMS: Final = Gauge("liveconnect_webhook_presence_streams", "Followers of the changes.")


class ChangeStream:
    """Lets callers follow the changes."""

    def __init__(self, changes: PresenceChanges, draining: Draining) -> None:
        self._changes = changes
        self._draining = draining
        self._streams = 0

    async def begin(self, selection: Selection, after: str | None) -> AsyncIterator[bytes]:
        """Return the events after a place; from now on if none is given.

        Raises:
            Problem: 400 for a place that is none, 410 if what followed it is not known any more,
                503 if the store does not answer or too many follow already.
        """
        if self._streams >= _MAX_STREAMS:
            raise Problem(503, "too many follow the changes here", {"Retry-After": "5"})
        try:
            position = await self._place(after)
            await self._changes.after(position, 1)
        except PositionLostError:
            raise Problem(
                410, "too much has happened since: list the clients and follow from changesFrom"
            ) from None
        except StoreUnavailableError:
            raise Problem(503, "the presence store does not answer", {"Retry-After": "2"}) from None
        return self._follow(position, selection)

    async def _place(self, after: str | None) -> Position:
        if after is None:
            return await self._changes.newest()
        position = self._changes.parse(after)
        if position is None:
            raise Problem(400, "Last-Event-ID or from: no place of this stream")
        return position

    async def _follow(self, position: Position, selection: Selection) -> AsyncIterator[bytes]:
        self._streams += 1
        STREAMS.inc()
        try:
            yield _RETRY + _heartbeat(position)
            idle = 0.0
            while not self._draining:
                events, position = await self._next(position, selection)
                if events:
                    idle = 0.0
                    yield events
                    continue
                idle += _POLL_SECONDS
                if idle >= _HEARTBEAT_SECONDS:
                    idle = 0.0
                    yield _heartbeat(position)
                await asyncio.sleep(_POLL_SECONDS)
        except PositionLostError:
            # The next attempt with this id is answered with 410.
            return
        finally:
            self._streams -= 1
            STREAMS.dec()

    async def _next(self, position: Position, selection: Selection) -> tuple[bytes, Position]:
        try:
            found = await self._changes.after(position, _READ_AT_ONCE)
        except StoreUnavailableError:  # it comes back, and nothing is missed
            return b"", position
        events = [
            _event(place, change)
            for place, change in found
            if selection.includes(change.state, change.node)
            and change.client_id.startswith(selection.prefix)
        ]
        if found:
            position = found[-1][0]
        return b"".join(events), position


def _heartbeat(position: Position) -> bytes:
    """An event without data: nothing is dispatched, but the place is remembered."""
    return f"id: {position}\n\n".encode()


def _event(position: Position, change: Change) -> bytes:
    # JSON has no line ends but escaped ones, so it is one line of data.
    return b"id: %b\nevent: presence\ndata: %b\n\n" % (
        str(position).encode(),
        msgspec.json.encode(ChangeView.of(change)),
    )
