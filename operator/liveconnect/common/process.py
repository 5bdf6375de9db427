"""Life of a service process: event loop, health, draining."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from aiohttp import web
from prometheus_client import REGISTRY, CollectorRegistry

from liveconnect.common.logs import get_logger
from liveconnect.common.metrics import exposition
from liveconnect.common.problem import problem_middleware

KEEP_ALIVE_SECONDS: Final = 75.0
"""Longer than the 60 s that VerneMQ keeps an idle connection: closing first would race with its
next request, and it takes a failed request for a refusal."""

_log = get_logger(__name__)


class Readiness(Protocol):
    """Tells whether a service can do its job."""

    def __call__(self) -> str | None:
        """Return None when it can, otherwise the reason why not."""


class Draining:
    """Whether this process was told to end."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def begin(self) -> None:
        """Note that the process was told to end."""
        if not self._event.is_set():
            _log.info("draining")
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        """Return as soon as the process is told to end."""
        await self._event.wait()

    def install(self) -> None:
        """Begin on SIGTERM and SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.begin)


DRAINING: Final = web.AppKey("draining", Draining)
"""Where an application made by `service_application` keeps it."""


def service_application(
    ready: Readiness,
    *,
    registry: CollectorRegistry = REGISTRY,
    max_body_bytes: int = 1 << 20,
) -> web.Application:
    """Return an application with `/healthz`, `/readyz`, `/metrics` and problem documents.

    Must be called with the event loop running.

    Args:
        ready: asked by `/readyz`.
        registry: shown by `/metrics`.
        max_body_bytes: a longer body is answered with 413.
    """
    draining = Draining()

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        reason = "draining" if draining else ready()
        if reason is None:
            return web.json_response({"status": "ok"})
        return web.json_response({"status": "not ready", "reason": reason}, status=503)

    async def metrics(request: web.Request) -> web.Response:
        body, content_type = exposition(request.headers.get("Accept", ""), registry)
        return web.Response(body=body, headers={"Content-Type": content_type})

    app = web.Application(middlewares=[problem_middleware], client_max_size=max_body_bytes)
    app[DRAINING] = draining
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app


def _new_event_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - an extra of the two services; the controller does without
    except ImportError:
        return None
    return uvloop.new_event_loop


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a process's main coroutine, on uvloop where that is installed."""
    # A request leaves next to nothing that only the collector could free, and what was imported
    # never goes: looking at it all the time costs a tenth of the requests.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    with asyncio.Runner(loop_factory=_new_event_loop()) as runner:
        runner.run(main)
