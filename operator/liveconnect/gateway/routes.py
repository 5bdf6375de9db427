"""HTTP: which path does what. 2xx only after what the QoS promises."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import unquote

import msgspec

from liveconnect.common.logs import get_logger
from liveconnect.common.problem import Problem
from liveconnect.common.server import Answer, Operations, Pending, Request, Response, require_get
from liveconnect.gateway import answers, metrics, openapi
from liveconnect.gateway.batches import Batch
from liveconnect.gateway.callers import Callers
from liveconnect.gateway.messages import Address, Delivery, Message, Permissions, Publication
from liveconnect.gateway.presence import Presence, PresenceUnavailableError
from liveconnect.gateway.publishing import Link, PublishError
from liveconnect.gateway.reading import Reader

_PUBLISH: Final = "/v1/publish"
_BATCH: Final = "/v1/publish/batch"
_OPENAPI: Final = "/openapi.json"
_ADDRESSED: Final = re.compile(r"/v1/(clients|groups)/([^/]+)/messages")
_ACKNOWLEDGED: Final = Response(b'{"status":"acknowledged"}')
_SENT: Final = Response(b'{"status":"sent"}', 202)

T = TypeVar("T")

_log = get_logger(__name__)


class Routes:
    """The gateway's HTTP handler."""

    def __init__(
        self,
        callers: Callers,
        permissions: Permissions,
        reader: Reader,
        link: Link,
        presence: Presence,
        operations: Operations,
    ) -> None:
        self._callers = callers
        self._permissions = permissions
        self._reader = reader
        self._link = link
        self._presence = presence
        self._operations = operations
        self._description = Response(msgspec.json.encode(openapi.document()))

    def __call__(self, request: Request) -> Answer:
        """Answer a request."""
        if request.path == _PUBLISH:
            return self._posted(request, self._publish, None)
        if request.path == _BATCH:
            return self._posted(request, self._publish_batch, None)
        if request.path == _OPENAPI:
            require_get(request)
            return self._description
        address = _address(request.path)
        if address is not None:
            return self._posted(request, self._publish, address)
        return self._operations(request)

    def _posted(self, request: Request, serve: _Serve, address: Address | None) -> Answer:
        """Serve a caller's request, once it is known whose it is."""
        if request.method != "POST":
            raise Problem(405, "messages are posted", {"Allow": "POST"})
        authorization = request.headers.get(b"authorization")
        subject = _counted(self._callers.identify_now, authorization)
        if subject is None:
            return self._later(request, serve, address)
        return serve(subject, request, address)

    async def _later(self, request: Request, serve: _Serve, address: Address | None) -> Response:
        """Serve a caller whose token names a key that has to be fetched."""
        try:
            subject = await self._callers.identify(request.headers.get(b"authorization"))
        except Problem as problem:
            metrics.refused(problem.status)
            raise
        answer = serve(subject, request, address)
        if isinstance(answer, Response):
            return answer
        if not isinstance(answer, Pending):
            return await answer
        await asyncio.wait([answer.awaited])
        return answer.finish()

    # --- one message

    def _publish(self, subject: str, request: Request, address: Address | None) -> Answer:
        began = time.perf_counter()
        publication = _counted(self._reader.read, request, address)
        message = _counted(self._admit, subject, publication)
        if publication.delivery is Delivery.ONLINE_ONLY:
            return self._publish_online_only(publication, began)
        return self._send(message, began)

    def _send(self, message: Message, began: float) -> Response | Pending:
        try:
            done = self._link.publish(message)
        except PublishError as error:
            raise _failed(message, error) from None
        if done.done():
            return _finish(message, began, done)
        return Pending(done, partial(_finish, message, began, done))

    async def _publish_online_only(self, publication: Publication, began: float) -> Response:
        """Publish if the client is connected now; it may be gone when the message arrives."""
        try:
            await self._require_online(publication.client_id)
        except Problem as problem:
            metrics.refused(problem.status)
            raise
        answer = self._send(publication.message, began)
        if isinstance(answer, Response):
            return answer
        await asyncio.wait([answer.awaited])
        return answer.finish()

    async def _require_online(self, client_id: str | None) -> None:
        if client_id is None:
            detail = "delivery: online-only is for a client, not for a topic or group"
            raise Problem(422, detail, extra={"field": "delivery"})
        try:
            found = await self._presence.of(client_id)
        except PresenceUnavailableError as error:
            detail = f"whether the client is online cannot be said: {error}"
            raise Problem(503, detail, {"Retry-After": "2"}, {"sent": False}) from None
        if not found.online:
            detail = "the client is not online; nothing was published"
            extra = {"sent": False, "presence": msgspec.to_builtins(found)}
            raise Problem(409, detail, extra=extra)

    def _admit(self, subject: str, publication: Publication) -> Message:
        """Return the message, if its caller may publish it."""
        message = publication.message
        if not self._permissions.allows(subject, message.topic):
            _log.info("refused", reason="topic", subject=subject, topic=message.topic)
            detail = f"{subject} may not publish to this topic; see spec.gateway.callers"
            raise Problem(403, detail, extra={"field": "topic"})
        return message

    # --- many

    def _publish_batch(self, subject: str, request: Request, _address: Address | None) -> Answer:
        items = _counted(self._reader.read_batch, request)
        return Batch(self._link, partial(self._admit, subject)).publish(items)


_Serve = Callable[[str, Request, Address | None], Answer]


def _address(path: str) -> Address | None:
    match = _ADDRESSED.fullmatch(path)
    if match is None:
        return None
    kind, encoded = match.groups()
    try:
        name = unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        raise Problem(400, "the path is not percent-encoded UTF-8") from None
    return Address(client_id=name) if kind == "clients" else Address(group=name)


def _counted(function: Callable[..., T], *arguments: Any) -> T:
    """Call, and count the refusal that it may be."""
    try:
        return function(*arguments)
    except Problem as problem:
        metrics.refused(problem.status)
        raise


def _finish(message: Message, began: float, done: asyncio.Future[None]) -> Response:
    """Return the answer when the QoS's promise is kept, or cannot be."""
    try:
        done.result()
    except PublishError as error:
        raise _failed(message, error) from None
    metrics.published(message.qos, time.perf_counter() - began)
    return _ACKNOWLEDGED if message.qos else _SENT


def _failed(message: Message, error: PublishError) -> Problem:
    metrics.not_published(message.qos, error)
    return answers.of_publish_error(error)
