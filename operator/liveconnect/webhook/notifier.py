"""Posts changes of presence to an endpoint of the user's, as CloudEvents.

It follows the stream of changes like everybody else and remembers its place in the store: one
replica at a time, whichever holds the task; at least once each, in order. An endpoint that does not
take a batch is tried again for some minutes, then that batch is dropped: nothing ever waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import aiohttp
from prometheus_client import Counter, Gauge

from liveconnect.api.operands import ChangesWebhook
from liveconnect.common.logs import get_logger
from liveconnect.webhook.adapters.presence_changes import (
    Position,
    PositionLostError,
    PresenceChanges,
)
from liveconnect.webhook.adapters.store_connection import StoreUnavailableError
from liveconnect.webhook.adapters.store_marks import StoreMarks
from liveconnect.webhook.presence import Change
from liveconnect.webhook.presence.cloudevents import (
    CONTENT_TYPE,
    SigningKeyError,
    batch,
    signature,
    signing_key,
)

_TASK: Final = "notifier"
_PLACE: Final = "notified"
_HELD_MS: Final = 15_000
_IDLE_SECONDS: Final = 0.5
_BATCH: Final = 100
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10, connect=5)
_PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0)
"""Between the attempts for one batch (seconds): three minutes, and the time that they take."""

POSTED: Final = Counter("liveconnect_webhook_presence_posted_total", "Changes that were accepted.")
LOST: Final = Counter(
    "liveconnect_webhook_presence_post_lost_total",
    "Changes that were not accepted within all attempts, or that were cut off before.",
)
ATTEMPTS: Final = Counter(
    "liveconnect_webhook_presence_post_attempts_total", "Requests, by outcome.", ["outcome"]
)
BEHIND: Final = Gauge(
    "liveconnect_webhook_presence_post_failing", "Whether the last request was not accepted."
)

_log = get_logger(__name__)


class NotAcceptedError(Exception):
    """The endpoint did not take a batch; the message says why, without any secret."""


class Notifier:
    """Posts changes, for ever."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        webhook: ChangesWebhook,
        source: str,
        changes: PresenceChanges,
        marks: StoreMarks,
        clock: Callable[[], float],
    ) -> None:
        """Make it.

        Args:
            session: used for the requests.
            webhook: where to, and what is presented there.
            source: names the LiveConnect cluster in each event.
            changes: what is posted.
            marks: where the place is remembered.
            clock: returns seconds since the epoch.
        """
        self._session = session
        self._webhook = webhook
        self._source = source
        self._changes = changes
        self._marks = marks
        self._clock = clock
        self._pauses: Sequence[float] = _PAUSES

    async def run(self) -> None:
        """Post until cancelled; while another replica does, only wait."""
        try:
            while True:
                posted = 0
                with contextlib.suppress(StoreUnavailableError):
                    if await self._marks.hold(_TASK, _HELD_MS):
                        posted = await self._post_next()
                if not posted:
                    await asyncio.sleep(_IDLE_SECONDS)
        finally:
            with contextlib.suppress(StoreUnavailableError):
                await self._marks.release(_TASK)

    async def _post_next(self) -> int:
        noted = await self._marks.noted(_PLACE)
        position = None if noted is None else self._changes.parse(noted)
        if position is None:
            await self._begin_at_the_end()
            return 0
        try:
            found = (await self._changes.after(position, _BATCH))[:_BATCH]
        except PositionLostError:
            LOST.inc()
            _log.error("changes of presence were cut off before they could be posted")
            await self._begin_at_the_end()
            return 0
        if found:
            await self._deliver(found)
            await self._marks.note(_PLACE, str(found[-1][0]))
        return len(found)

    async def _begin_at_the_end(self) -> None:
        await self._marks.note(_PLACE, str(await self._changes.newest()))

    async def _deliver(self, found: Sequence[tuple[Position, Change]]) -> None:
        changes = [(str(position), change) for position, change in found]
        for pause in (*self._pauses, None):
            try:
                await self._post(changes)
            except NotAcceptedError as error:
                ATTEMPTS.labels("failed").inc()
                BEHIND.set(1)
                if pause is None:
                    LOST.inc(len(changes))
                    _log.error("changes of presence dropped", reason=str(error), count=len(changes))
                    return
                await self._wait(pause)
            else:
                ATTEMPTS.labels("accepted").inc()
                POSTED.inc(len(changes))
                BEHIND.set(0)
                return

    async def _wait(self, seconds: float) -> None:
        """Wait, and keep the task meanwhile."""
        while seconds > 0:
            step = min(seconds, _HELD_MS / 3000)
            await asyncio.sleep(step)
            seconds -= step
            await self._marks.hold(_TASK, _HELD_MS)

    async def _post(self, changes: Sequence[tuple[str, Change]]) -> None:
        body, name = batch(changes, self._source), changes[-1][0]
        headers = {"Content-Type": CONTENT_TYPE, **self._credentials(name, body)}
        try:
            async with self._session.post(
                self._webhook.url,
                data=body,
                headers=headers,
                timeout=_TIMEOUT,
                allow_redirects=False,  # they could carry the credentials elsewhere
                ssl=self._tls(),
            ) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise NotAcceptedError(type(error).__name__) from error
        if not 200 <= status < 300:
            raise NotAcceptedError(f"HTTP {status}")

    def _credentials(self, name: str, body: bytes) -> dict[str, str]:
        headers = {}
        if self._webhook.bearer_file is not None:
            headers["Authorization"] = f"Bearer {_read(self._webhook.bearer_file)}"
        if self._webhook.signing_file is not None:
            now = int(self._clock())
            try:
                key = signing_key(_read(self._webhook.signing_file))
            except SigningKeyError as error:
                raise NotAcceptedError(f"the signing key {error}") from None
            headers |= {
                "webhook-id": name,
                "webhook-timestamp": str(now),
                "webhook-signature": signature(key, name, now, body),
            }
        return headers

    def _tls(self) -> ssl.SSLContext | bool:
        ca_file = self._webhook.ca_file
        return True if ca_file is None else ssl.create_default_context(cafile=ca_file)


def _read(path: str) -> str:
    """A secret, read anew each time: the kubelet replaces it when it is rotated."""
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotAcceptedError(f"no credential: {type(error).__name__}") from None
