"""HTTP: `POST /v1/publish`. 2xx only after what the QoS promises."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from liveconnect.common.logs import get_logger
from liveconnect.common.problem import Problem
from liveconnect.common.server import Answer, Operations, Pending, Request, Response
from liveconnect.gateway import answers, metrics
from liveconnect.gateway.callers import Callers
from liveconnect.gateway.messages import Limits, Message, MessageError, Permissions, parse
from liveconnect.gateway.publishing import Link, PublishError

_PUBLISH: Final = "/v1/publish"
_JSON: Final = b"application/json"
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
        limits: Limits,
        link: Link,
        operations: Operations,
    ) -> None:
        self._callers = callers
        self._permissions = permissions
        self._limits = limits
        self._link = link
        self._operations = operations

    def __call__(self, request: Request) -> Answer:
        """Answer a request."""
        if request.path != _PUBLISH:
            return self._operations(request)
        if request.method != "POST":
            raise Problem(405, "messages are posted", {"Allow": "POST"})
        return self._publish(request)

    def _publish(self, request: Request) -> Answer:
        began = time.perf_counter()
        authorization = request.headers.get(b"authorization")
        subject = _counted(self._callers.identify_now, authorization)
        if subject is None:
            return self._publish_later(request, began)
        return self._publish_for(subject, request, began)

    async def _publish_later(self, request: Request, began: float) -> Response:
        """Publish for a caller whose token names a key that has to be fetched."""
        try:
            subject = await self._callers.identify(request.headers.get(b"authorization"))
        except Problem as problem:
            metrics.refused(problem.status)
            raise
        answer = self._publish_for(subject, request, began)
        if isinstance(answer, Response):
            return answer
        await asyncio.wait([answer.awaited])
        return answer.finish()

    def _publish_for(self, subject: str, request: Request, began: float) -> Response | Pending:
        message = _counted(self._admit, subject, request)
        try:
            done = self._link.publish(message)
        except PublishError as error:
            raise _failed(message, error) from None
        if done.done():
            return _finish(message, began, done)
        return Pending(done, partial(_finish, message, began, done))

    def _admit(self, subject: str, request: Request) -> Message:
        """Return the message of a request, if its caller may publish it."""
        message = self._read(request)
        if not self._permissions.allows(subject, message.topic):
            _log.info("refused", reason="topic", subject=subject, topic=message.topic)
            detail = f"{subject} may not publish to this topic; see spec.gateway.callers"
            raise Problem(403, detail, extra={"field": "topic"})
        return message

    def _read(self, request: Request) -> Message:
        kind = request.headers.get(b"content-type", _JSON)
        if kind != _JSON and kind.partition(b";")[0].strip().lower() != _JSON:
            raise Problem(415, "the body must be application/json", {"Accept-Post": _JSON.decode()})
        try:
            return parse(request.body, self._limits)
        except MessageError as error:
            raise answers.of_message_error(error) from None


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
