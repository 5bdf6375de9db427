"""HTTP: `POST /v1/publish`. 2xx only after what the QoS promises."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from aiohttp import web
from prometheus_client import Counter, Histogram

from liveconnect.api.operands import GatewayConfig
from liveconnect.common.bearer import bearer
from liveconnect.common.problem import ProblemError
from liveconnect.common.tokens import Verifier
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


class Publisher(Protocol):
    """The link to the brokers."""

    async def publish(self, message: messages.Message) -> None:
        """Publish and wait for what the QoS promises."""


class Routes:
    """The handlers."""

    def __init__(self, config: GatewayConfig, link: Publisher, backends: Verifier) -> None:
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
        subject = await bearer(request, self._backends)
        try:
            message = messages.parse(await request.read(), self._max_payload)
        except messages.MessageError as error:
            raise ProblemError(422, "Invalid message", str(error)) from error
        if not messages.may_publish(self._callers.get(subject, ()), message.topic):
            raise ProblemError(
                403,
                "Forbidden",
                f"{subject} may not publish to this topic; see spec.gateway.callers",
            )
        await self._send(message)
        qos = str(message.qos)
        _PUBLISHES.labels(qos, "ok").inc()
        _SECONDS.labels(qos).observe(time.perf_counter() - begun)
        if message.qos == 0:
            return web.json_response({"status": "sent"}, status=202)
        return web.json_response({"status": "acknowledged"})

    async def _send(self, message: messages.Message) -> None:
        """Publish; every way in which it can fail is an answer of its own."""
        try:
            await self._link.publish(message)
        except (LinkDownError, WindowFullError) as error:
            _PUBLISHES.labels(str(message.qos), type(error).__name__).inc()
            raise ProblemError(503, "Broker unavailable", str(error), _RETRY) from error
        except RefusedError as error:
            _PUBLISHES.labels(str(message.qos), "refused").inc()
            raise ProblemError(502, "Refused by the broker", str(error)) from error
        except AckTimeoutError as error:
            _PUBLISHES.labels(str(message.qos), "timeout").inc()
            raise ProblemError(504, "Not acknowledged", str(error)) from error
