"""A process of ours: one aiohttp server, health endpoints, a graceful end on SIGTERM."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from liveconnect.common import problem
from liveconnect.common.metrics import metrics
from liveconnect.common.settings import ProcessSettings

#: Longer than the brokers' pool keeps idle connections (30 s): a close at the same moment as a
#: request would be a refused client (vernemq-contract/webhooks.md).
KEEPALIVE_SECONDS = 75.0


def application(*, ready: Callable[[], str], max_body: int) -> web.Application:
    """An application with `/healthz`, `/readyz` and `/metrics`.

    Args:
        ready: Says why the process cannot do its job; empty when it can.
        max_body: Largest body (bytes); beyond it the answer is 413.
    """

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        why = ready()
        if why:
            return problem.response(503, "Not ready", why)
        return web.json_response({"status": "ready"})

    app = web.Application(middlewares=[problem.middleware], client_max_size=max_body)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app


def serve(app: web.Application, settings: ProcessSettings) -> None:
    """Serve until SIGTERM; requests under way are finished."""
    web.run_app(
        app,
        host=settings.host,
        port=settings.port,
        keepalive_timeout=KEEPALIVE_SECONDS,
        shutdown_timeout=15.0,
        access_log=None,
        print=None,
    )
