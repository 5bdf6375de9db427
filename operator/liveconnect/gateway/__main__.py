"""`liveconnect-gateway`: the publisher gateway's process."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from pathlib import Path

import aiohttp

from liveconnect.api.operands import GatewayConfig
from liveconnect.common.logs import configure_logs, get_logger
from liveconnect.common.process import Draining, run
from liveconnect.common.server import HttpServer, Operations
from liveconnect.common.server import Limits as ServerLimits
from liveconnect.common.serviceaccounts import service_account_issuer
from liveconnect.common.settings import ConfigError, ServiceSettings, load_config
from liveconnect.common.tokens import Issuer, TokenVerifier
from liveconnect.gateway import metrics
from liveconnect.gateway.adapters.paho import LinkOptions, PahoLink
from liveconnect.gateway.adapters.presence import HttpPresence
from liveconnect.gateway.callers import Callers
from liveconnect.gateway.messages import Limits, Permissions, Topics
from liveconnect.gateway.reading import Reader
from liveconnect.gateway.routes import Routes

_log = get_logger(__name__)


def make_link(config: GatewayConfig) -> PahoLink:
    """Return the link to the publisher pool."""
    link = PahoLink(
        LinkOptions(
            host=config.broker_host,
            port=config.broker_port,
            token_file=Path(config.token_file),
            name=os.environ.get("POD_NAME") or socket.gethostname(),
            window=config.max_inflight,
        )
    )
    metrics.LINK_UP.set_function(lambda: float(link.why_down() is None))
    metrics.WAITING.set_function(link.waiting)
    return link


def why_not_ready(issuer: Issuer, link: PahoLink) -> str | None:
    """Return None if a caller's message can be published."""
    if not issuer.keys.usable:
        return f"no keys to verify callers' tokens with: {issuer.keys.fault}"
    return link.why_down()


async def serve(config: GatewayConfig, settings: ServiceSettings) -> None:
    """Run the gateway until SIGTERM.

    At the end requests are answered first and the link is closed after that: what was accepted
    is acknowledged, or its caller is told that it is not.
    """
    draining = Draining()
    draining.install()
    limits = Limits(config.max_payload_bytes, config.max_topic_levels)
    topics = Topics(config.client_topic, config.group_topic, config.max_topic_levels)
    async with aiohttp.ClientSession() as http:
        issuer = service_account_issuer(config.service_accounts, http)
        link = make_link(config)
        routes = Routes(
            Callers(TokenVerifier([issuer]), time.time),
            Permissions(config.callers),
            Reader(limits, topics),
            link,
            HttpPresence(http, config.presence_url, Path(config.token_file)),
            Operations(lambda: why_not_ready(issuer, link), draining),
        )
        server = HttpServer(routes, draining, ServerLimits(body_bytes=limits.batch_bytes))
        # A background task that fails ends the process: better none than one that never connects.
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(issuer.keys.keep_fresh()),
                tasks.create_task(link.run()),
            ]
            await server.serve(settings)
            for task in background:
                task.cancel()


def main() -> None:
    """Start the process; exit code 2 if its configuration cannot be used."""
    settings = ServiceSettings()
    configure_logs("gateway", settings.log_level)
    try:
        config = load_config(settings.config_file, GatewayConfig)
        _log.info("starting", cluster=config.cluster, callers=len(config.callers))
        run(serve(config, settings))
    except ConfigError as error:
        _log.error("the configuration cannot be used", reason=str(error))
        sys.exit(2)


if __name__ == "__main__":
    main()
