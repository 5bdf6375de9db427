"""`POST /v1/fanout`: one message to each of many clients, with a report of who was online.

Page by page: who pages through presence is told where each page ended, so that a call that was cut
is taken up there. With an `Idempotency-Key` nobody gets the message twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from liveconnect.common.problem import Problem
from liveconnect.common.process import Draining
from liveconnect.common.server import Request, Stream
from liveconnect.gateway.admission import KEY, Admission, checked_key, not_online
from liveconnect.gateway.batches import Batch
from liveconnect.gateway.dispatch import Dispatch
from liveconnect.gateway.messages import (
    Delivery,
    FanoutRequest,
    MessageError,
    Publication,
)
from liveconnect.gateway.presence import (
    ClientPresence,
    CursorError,
    MemberPage,
    Members,
    Presence,
    PresenceUnavailableError,
)
from liveconnect.gateway.quotas import Quotas
from liveconnect.gateway.reading import Reader

PATH: Final = "/v1/fanout"
_PAGE: Final = 500
_PUBLISHED: Final = frozenset({200, 202})


class FanoutSummary(msgspec.Struct, rename="camel"):
    """The last line of a fan-out."""

    members: int = 0
    online: int = 0
    published: int = 0
    next: str | None = None
    """Where the next call begins; null if there is nobody left."""


class Fanout:
    """Publishes to members."""

    def __init__(
        self,
        reader: Reader,
        admission: Admission,
        dispatch: Dispatch,
        presence: Presence,
        quotas: Quotas,
        draining: Draining,
    ) -> None:
        self._reader = reader
        self._admission = admission
        self._dispatch = dispatch
        self._presence = presence
        self._quotas = quotas
        self._draining = draining

    async def begin(self, caller: str, request: Request) -> Stream:
        """Return the report; what is wrong before the first message is no report.

        Raises:
            Problem: nothing was published.
        """
        fanout = self._reader.read_fanout(request)
        key = request.headers.get(KEY)
        if key is not None:
            checked_key(key, fanout.publication.message.qos)
        first = await self._first_page(fanout)
        self._admission.take_quota(caller, len(first.clients))
        run = _Run(self, caller, fanout, key)
        return Stream(run.lines(first), "application/x-ndjson", {"Cache-Control": "no-store"})

    async def _first_page(self, fanout: FanoutRequest) -> MemberPage:
        try:
            return await self.page(fanout, fanout.after, fanout.limit)
        except CursorError as error:
            raise Problem(422, f"after: {error}", extra={"field": "after"}) from None
        except PresenceUnavailableError as error:
            detail = f"who the members are cannot be said: {error}"
            raise Problem(503, detail, {"Retry-After": "2"}, {"sent": False}) from None

    async def page(self, fanout: FanoutRequest, after: str | None, left: int) -> MemberPage:
        """Return the next members, as `Presence.members` does."""
        members = Members(fanout.client_ids, fanout.prefix, fanout.group)
        return await self._presence.members(members, after, min(left, _PAGE))

    async def next_page(
        self, caller: str, fanout: FanoutRequest, after: str, left: int
    ) -> MemberPage | None:
        """Return the next members when the caller's quota lets it; None if they cannot be had."""
        if self._draining:
            return None
        try:
            page = await self.page(fanout, after, left)
        except (PresenceUnavailableError, CursorError):
            return None
        while wait := self._quotas.take(caller, len(page.clients), time.monotonic()):  # noqa: ASYNC110 - time is what is missing
            await asyncio.sleep(wait)
        return page

    async def publish(
        self,
        caller: str,
        fanout: FanoutRequest,
        key: bytes | None,
        clients: Sequence[ClientPresence],
    ) -> list[dict[str, Any]]:
        """Publish to clients; a result for each, in their order."""
        online_only = fanout.publication.delivery is Delivery.ONLINE_ONLY
        wanted = [one for one in clients if one.online or not online_only]
        items = [self._item(fanout, one.client_id) for one in wanted]
        names = [f"to {one.client_id}" for one in wanted]
        admit = partial(self._admission.admit, caller)
        batch = Batch(self._dispatch, admit, caller, key, names)
        results = {
            one.client_id: msgspec.json.decode(result, type=dict[str, Any])
            for one, result in zip(wanted, await batch.results(items), strict=True)
        }
        return [
            results.get(one.client_id) or msgspec.json.decode(not_online(one).body())
            for one in clients
        ]

    def _item(self, fanout: FanoutRequest, client_id: str) -> Publication | MessageError:
        try:
            return self._reader.topic_for(fanout, client_id)
        except MessageError as error:
            return error


class _Run:
    """One fan-out on its way."""

    def __init__(
        self, owner: Fanout, caller: str, fanout: FanoutRequest, key: bytes | None
    ) -> None:
        self._owner = owner
        self._caller = caller
        self._fanout = fanout
        self._key = key
        self._seen: set[str] = set()
        self._summary = FanoutSummary()

    async def lines(self, first: MemberPage) -> AsyncIterator[bytes]:
        """Publish page by page, and tell of each."""
        page: MemberPage | None = first
        while page is not None:
            yield await self._report(page)
            left = self._fanout.limit - self._summary.members
            if page.next is None or left <= 0:
                self._summary.next = page.next
                yield _line(self._summary)
                return
            yield _line({"next": page.next})
            page = await self._owner.next_page(self._caller, self._fanout, page.next, left)

    async def _report(self, page: MemberPage) -> bytes:
        # A client that came or went meanwhile is on two pages.
        clients = [one for one in page.clients if one.client_id not in self._seen]
        self._seen.update(one.client_id for one in clients)
        results = await self._owner.publish(self._caller, self._fanout, self._key, clients)
        summary = self._summary
        summary.members += len(clients)
        report = []
        for one, result in zip(clients, results, strict=True):
            result.pop("index", None)
            result.pop("presence", None)
            summary.online += one.online
            summary.published += result["status"] in _PUBLISHED
            report.append(_line({"clientId": one.client_id, "presence": one.state, **result}))
        return b"".join(report)


def _line(content: Any) -> bytes:
    return msgspec.json.encode(content) + b"\n"
