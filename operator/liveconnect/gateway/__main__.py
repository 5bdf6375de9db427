"""`liveconnect-gateway`: the publisher gateway's process."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

import aiohttp
from aiohttp import web

from liveconnect.api.operands import GatewayConfig
from liveconnect.common import logs
from liveconnect.common.jwks import KeysUnavailableError
from liveconnect.common.process import application, serve
from liveconnect.common.serviceaccounts import issuer as service_account_issuer
from liveconnect.common.settings import ServiceSettings
from liveconnect.common.tokens import Verifier
from liveconnect.gateway.adapters.paho import Link
from liveconnect.gateway.routes import Routes


async def build(config: GatewayConfig) -> web.Application:
    """The application, its link to the brokers under way."""
    session = aiohttp.ClientSession()
    cluster = service_account_issuer(session, config.service_accounts)
    if cluster is not None:
        # A set that cannot be loaded is said in the log; the next token tries again.
        with contextlib.suppress(KeysUnavailableError):
            await cluster.keys.keys(None)
    # A client id of its own per process: two with the same one would oust each other.
    client_id = f"{os.environ.get('POD_NAME', 'gateway')}-{secrets.token_hex(4)}"
    link = Link(
        config.broker_host,
        config.broker_port,
        Path(config.token_file),
        client_id,
        config.max_inflight,
    )
    link.start()

    def ready() -> str:
        return "" if link.connected else "no connection to the publisher pool"

    # Base64 takes four thirds; the rest of the body is the topic and the JSON around it.
    app = application(ready=ready, max_body=config.max_payload_bytes * 2 + 16384)

    async def close(_: web.Application) -> None:
        await link.stop()
        await session.close()

    app.on_cleanup.append(close)
    Routes(config, link, Verifier([cluster] if cluster else [])).register(app)
    return app


def main() -> None:
    """Serve until told to stop."""
    settings = ServiceSettings()
    logs.configure(settings.log_level)
    serve(build(GatewayConfig.model_validate_json(settings.config.read_bytes())), settings)


if __name__ == "__main__":
    main()
