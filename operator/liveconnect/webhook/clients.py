"""`GET /v1/clients/{id}`: presence, for backends that the cluster object names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import msgspec

from liveconnect.common.problem import Problem
from liveconnect.common.tokens import TokenVerifier
from liveconnect.webhook.adapters.store_connection import StoreUnavailableError
from liveconnect.webhook.bearer import Bearers
from liveconnect.webhook.presence import Record
from liveconnect.webhook.presence_parts import PresenceParts


class PresenceView(msgspec.Struct, frozen=True, rename="camel"):
    """What is told of a client."""

    client_id: str
    state: str
    node: str
    since: str
    last_seen: str
    stale_seconds: float
    """Age of the oldest event that waits here for the store; 0 if none does. What another replica
    has waiting is not known."""


class Clients:
    """Answers questions about presence."""

    def __init__(
        self,
        verifier: TokenVerifier,
        readers: Iterable[str],
        presence: PresenceParts,
        clock: Callable[[], float],
    ) -> None:
        self._bearers = Bearers(verifier, readers, clock, "reader")
        self._presence = presence
        self._clock = clock

    async def authorize(self, authorization: bytes) -> None:
        """Let readers pass.

        Args:
            authorization: the request's header.

        Raises:
            Problem: 401 without a good token, 403 for everybody who may not read.
        """
        await self._bearers.admit(authorization)

    async def read(self, client_id: str) -> PresenceView:
        """Return what is known of a client.

        Raises:
            Problem: 404 if nothing is, 503 if the store does not answer.
        """
        try:
            stored = await self._presence.store.read([client_id])
        except StoreUnavailableError:
            raise Problem(503, "the presence store does not answer", {"Retry-After": "2"}) from None
        record = stored[client_id].record
        if record is None:
            raise Problem(404, "no such client was ever seen here")
        return self._view(record)

    def _view(self, record: Record) -> PresenceView:
        oldest = self._presence.queue.oldest_at
        stale = 0.0 if oldest is None else max(self._clock() - oldest / 1000, 0.0)
        return PresenceView(
            client_id=record.client_id,
            state=record.state.value,
            node=record.node,
            since=_rfc3339(record.since),
            last_seen=_rfc3339(record.last_seen),
            stale_seconds=round(stale, 3),
        )


def _rfc3339(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
