"""`liveconnect-gateway`: the publisher gateway's process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from aiohttp import web

from liveconnect.api.operands import GatewayConfig
from liveconnect.common.logs import configure_logs
from liveconnect.common.process import run, serve, service_application
from liveconnect.common.serviceaccounts import service_account_issuer
from liveconnect.common.settings import ServiceSettings, load_config
from liveconnect.common.tokens import TokenVerifier
from liveconnect.gateway.adapters.paho import Link
from liveconnect.gateway.routes import Routes


def build(config: GatewayConfig, session: aiohttp.ClientSession) -> web.Application:
    """Return the application; its link and key set live as long as it is served."""
    cluster = service_account_issuer(config.service_accounts, session)
    link = Link(
        config.broker_host,
        config.broker_port,
        Path(config.token_file),
        # A client id of its own per process: two with the same one would oust each other.
        f"{os.environ.get('POD_NAME', 'gateway')}-{secrets.token_hex(4)}",
        config.max_inflight,
    )

    def ready() -> str | None:
        if not cluster.keys.usable:
            return "the API server's keys are not loaded yet"
        return None if link.connected else "no connection to the publisher pool"

    # Base64 takes four thirds; the rest of the body is the topic and the JSON around it.
    app = service_application(ready, max_body_bytes=config.max_payload_bytes * 2 + 16384)

    async def lifetime(_: web.Application) -> AsyncIterator[None]:
        keys = asyncio.create_task(cluster.keys.keep_fresh(), name="keys")
        link.start()
        yield
        await link.stop()
        keys.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keys

    app.cleanup_ctx.append(lifetime)
    Routes(config, link, TokenVerifier([cluster])).register(app)
    return app


async def _main(settings: ServiceSettings) -> None:
    config = load_config(settings.config_file, GatewayConfig)
    async with aiohttp.ClientSession() as session:
        await serve(build(config, session), settings)


def main() -> None:
    """Serve until told to stop."""
    settings = ServiceSettings()
    configure_logs("gateway", settings.log_level)
    run(_main(settings))


if __name__ == "__main__":
    main()
