"""HTTP: `POST /v1/publish`. 2xx only after what the QoS promises."""

from __future__ import annotations

import time
from collections.abc import Coroutine
from typing import Any, Final

from liveconnect.common.logs import get_logger
from liveconnect.common.problem import Problem
from liveconnect.common.server import Operations, Request, Response
from liveconnect.gateway import answers, metrics
from liveconnect.gateway.callers import Callers
from liveconnect.gateway.messages import Limits, Message, MessageError, Permissions, parse
from liveconnect.gateway.publishing import Link, PublishError

_PUBLISH: Final = "/v1/publish"
_JSON: Final = b"application/json"
_ACKNOWLEDGED: Final = Response(b'{"status":"acknowledged"}')
_SENT: Final = Response(b'{"status":"sent"}', 202)

Answer = Response | Coroutine[Any, Any, Response]

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

    async def _publish(self, request: Request) -> Response:
        began = time.perf_counter()
        try:
            message = await self._admit(request)
        except Problem as problem:
            metrics.refused(problem.status)
            raise
        try:
            await self._link.publish(message)
        except PublishError as error:
            metrics.not_published(message.qos, error)
            raise answers.of_publish_error(error) from None
        metrics.published(message.qos, time.perf_counter() - began)
        return _ACKNOWLEDGED if message.qos else _SENT

    async def _admit(self, request: Request) -> Message:
        """Return the message of a request, if its caller may publish it."""
        authorization = request.headers.get(b"authorization")
        subject = self._callers.identify_now(authorization)
        if subject is None:
            subject = await self._callers.identify(authorization)
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
