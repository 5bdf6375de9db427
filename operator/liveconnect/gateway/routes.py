"""HTTP: `POST /v1/publish`. 2xx only after what the QoS promises."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from aiohttp import web
from prometheus_client import Counter, Histogram

from liveconnect.api.operands import GatewayConfig
from liveconnect.common.problem import Problem
from liveconnect.common.tokens import TokenRefusedError, TokenVerifier
from liveconnect.gateway import messages
from liveconnect.gateway.adapters.paho import (
    AckTimeoutError,
    LinkDownError,
    RefusedError,
    WindowFullError,
)

_PUBLISHES = Counter("liveconnect_gateway_publishes_total", "Publishes.", ("qos", "outcome"))
_SECONDS = Histogram("liveconnect_gateway_publish_seconds", "HTTP request to acknowledgement.", ("qos",))
_RETRY = {"Retry-After": "1"}
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="liveconnect"'}


class Publisher(Protocol):
    """The link to the brokers."""

    async def publish(self, message: messages.Message) -> None:
        """Publish and wait for what the QoS promises."""


class Routes:
    """The handlers."""

    def __init__(self, config: GatewayConfig, link: Publisher, backends: TokenVerifier) -> None:
        self._callers: Mapping[str, Sequence[str]] = {c.subject: c.publish for c in config.callers}
        self._max_payload = config.max_payload_bytes
        self._link = link
        self._backends = backends

    def register(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_post("/v1/publish", self.publish)

    async def publish(self, request: web.Request) -> web.Response:
        """Publish one message."""
        begun = time.perf_counter()
        subject = await self._caller(request)
        try:
            message = messages.parse(await request.read(), self._max_payload)
        except messages.MessageError as error:
            raise Problem(422, str(error)) from error
        if not messages.may_publish(self._callers.get(subject, ()), message.topic):
            raise Problem(
                403,
                f"{subject} may not publish to this topic; see spec.gateway.callers",
            )
        await self._send(message)
        qos = str(message.qos)
        _PUBLISHES.labels(qos, "ok").inc()
        _SECONDS.labels(qos).observe(time.perf_counter() - begun)
        if message.qos == 0:
            return web.json_response({"status": "sent"}, status=202)
        return web.json_response({"status": "acknowledged"})

    async def _caller(self, request: web.Request) -> str:
        """The ServiceAccount that the bearer token proves."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            detail = "present a ServiceAccount token (audience liveconnect) as bearer token"
            raise Problem(401, detail, _CHALLENGE)
        try:
            verified = await self._backends.verify(token.strip(), time.time())
        except TokenRefusedError as refused:
            detail = f"the token is refused: {refused.fault.value}"
            raise Problem(401, detail, _CHALLENGE) from refused
        return verified.subject

    async def _send(self, message: messages.Message) -> None:
        """Publish; every way in which it can fail is an answer of its own."""
        try:
            await self._link.publish(message)
        except (LinkDownError, WindowFullError) as error:
            _PUBLISHES.labels(str(message.qos), type(error).__name__).inc()
            raise Problem(503, str(error), _RETRY) from error
        except RefusedError as error:
            _PUBLISHES.labels(str(message.qos), "refused").inc()
            raise Problem(502, f"the broker refused the message: {error}") from error
        except AckTimeoutError as error:
            _PUBLISHES.labels(str(message.qos), "timeout").inc()
            raise Problem(504, str(error)) from error
