"""`/v1/parked`: messages that cannot be published, for the caller whose messages they are."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from liveconnect.common.problem import Problem
from liveconnect.common.server import Request, Response
from liveconnect.gateway import answers
from liveconnect.gateway.adapters.outboxfile import OutboxFile
from liveconnect.gateway.adapters.outboxlink import OutboxLink
from liveconnect.gateway.dispatch import Dispatch
from liveconnect.gateway.messages import Permissions
from liveconnect.gateway.outbox import Parked
from liveconnect.gateway.publishing import PublishError

PATH: Final = "/v1/parked"
_ONE: Final = re.compile(r"/v1/parked/([0-9]{1,18})(/retry)?")
_PAGE: Final = 100


class ParkedView(msgspec.Struct, frozen=True, rename="camel"):
    """A message that was put aside; without its payload, which may be large."""

    id: int
    topic: str
    qos: int
    payload_bytes: int
    reason: str
    parked_at: float
    """Seconds since the epoch."""


class ParkedPage(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Some of them, in the order in which they were accepted."""

    items: list[ParkedView]
    after: int | None = None
    """Ask for the next page with this number; there is none if it is missing."""


class ParkedMessages:
    """Shows, deletes and tries again what was put aside."""

    def __init__(
        self, file: OutboxFile, outbox: OutboxLink, dispatch: Dispatch, permissions: Permissions
    ) -> None:
        self._file = file
        self._outbox = outbox
        self._dispatch = dispatch
        self._permissions = permissions

    def answer(self, caller: str, request: Request) -> Response:
        """Answer a request to `/v1/parked` or below.

        Raises:
            Problem: it cannot be done.
        """
        if request.path == PATH:
            _require(request, "GET")
            return self._list(caller, _after(request.query))
        match = _ONE.fullmatch(request.path)
        if match is None:
            raise Problem(404, "no such resource")
        found = self._find(caller, int(match[1]))
        if match[2]:
            _require(request, "POST")
            return self._retry(found)
        _require(request, "DELETE")
        self._drop(found)
        return Response(b"", 204)

    def _list(self, caller: str, after: int) -> Response:
        found = self._file.parked(caller, after, _PAGE)
        page = ParkedPage(
            [_view(one) for one in found], found[-1].seq if len(found) == _PAGE else None
        )
        return Response(msgspec.json.encode(page), headers={"Cache-Control": "no-store"})

    def _find(self, caller: str, seq: int) -> Parked:
        found = self._file.parked(caller, seq - 1, 1)
        if not found or found[0].seq != seq:
            raise Problem(404, "no such message was put aside")
        return found[0]

    def _retry(self, parked: Parked) -> Response:
        if not self._permissions.allows(parked.caller, parked.message.topic):
            raise Problem(403, "you may no longer publish to its topic", extra={"field": "topic"})
        try:
            self._dispatch.store_again(parked.message, parked.caller)
        except PublishError as error:
            raise answers.of_publish_error(error) from None
        self._drop(parked)
        return Response(b'{"status":"stored"}', 202)

    def _drop(self, parked: Parked) -> None:
        self._file.unpark(parked.seq)
        self._outbox.parked -= 1


def _view(parked: Parked) -> ParkedView:
    message = parked.message
    return ParkedView(
        parked.seq, message.topic, message.qos, len(message.payload), parked.reason, parked.at
    )


def _after(query: bytes) -> int:
    try:
        pairs: list[tuple[str, Any]] = parse_qsl(query.decode("ascii"), strict_parsing=bool(query))
        ((name, value),) = pairs or [("after", "0")]
    except ValueError:
        raise Problem(422, "the query has one name: after") from None
    if name != "after" or not value.isdecimal() or len(value) > 18:
        raise Problem(422, "after: the number that the last page ended with")
    return int(value)


def _require(request: Request, method: str) -> None:
    if request.method != method:
        raise Problem(405, f"only {method}", {"Allow": method})
