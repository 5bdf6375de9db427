"""The auth service's process."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from typing import Final

import aiohttp

from liveconnect.api.operands import AuthConfig, ServerTls
from liveconnect.common.logs import configure_logs, get_logger
from liveconnect.common.process import Draining, run
from liveconnect.common.server import HttpServer, Limits, Operations, ServerCertificate, TlsFiles
from liveconnect.common.settings import ConfigError, load_config
from liveconnect.common.tokens import TokenVerifier
from liveconnect.webhook.adapters.brokers import Brokers
from liveconnect.webhook.adapters.rule_file import RuleFile
from liveconnect.webhook.bearer import Bearers
from liveconnect.webhook.changestream import ChangeStream
from liveconnect.webhook.clientroutes import ClientRoutes
from liveconnect.webhook.clients import Clients
from liveconnect.webhook.contract import longest_body
from liveconnect.webhook.gate import Gate
from liveconnect.webhook.hooks import AuthHooks, PresenceHooks
from liveconnect.webhook.identities import Identities
from liveconnect.webhook.issuers import (
    known_issuers,
    make_issuers,
    make_servers,
    why_not_ready,
)
from liveconnect.webhook.presence_parts import PresenceParts
from liveconnect.webhook.recheck import Recheck
from liveconnect.webhook.revoking import Revoking
from liveconnect.webhook.routes import Routes, clients_only, hooks_only, operations_only
from liveconnect.webhook.settings import WebhookSettings
from liveconnect.webhook.telemetry import Providers

_FLUSH_SECONDS: Final = 5.0

_log = get_logger(__name__)


def make_gate(config: AuthConfig, session: aiohttp.ClientSession) -> Gate:
    """Return what lets devices in one after the other."""
    brokers = None if config.brokers is None else Brokers(session, config.brokers)
    return Gate(config.connects, brokers)


def make_certificate(tls: ServerTls | None) -> ServerCertificate | None:
    """Return the certificate of the ports with TLS, if there are any.

    Raises:
        ConfigError: its files cannot be used.
    """
    if tls is None:
        return None
    return ServerCertificate("tls", TlsFiles(tls.certificate_file, tls.key_file))


async def serve(config: AuthConfig, settings: WebhookSettings) -> None:
    """Run the service until SIGTERM.

    Raises:
        ConfigError: the configuration cannot be used.
    """
    draining = Draining()
    draining.install()
    async with aiohttp.ClientSession() as session:
        issuers, servers = make_issuers(config, session), make_servers(config, session)
        presence = PresenceParts.of(config, session)
        verifier = TokenVerifier(issuers)
        Providers(verifier, issuers, servers)
        names = known_issuers(issuers, servers)
        revoking = Revoking.of(config, session, presence.connection, verifier, names)
        identities = Identities(verifier, servers)
        rules = RuleFile(settings.config_file, config)
        gate = make_gate(config, session)
        sessions = revoking.enforcement
        auth = AuthHooks(identities, rules.policy, sessions, gate, time.time, random.random)
        rules.on_change(auth.use)
        recheck = []
        if config.brokers is not None:
            brokers = Brokers(session, config.brokers)
            recheck.append(Recheck(rules, identities, brokers, presence.marks, time.time).run())

        def why_not() -> str | None:
            return why_not_ready(issuers, servers) or revoking.enforcement.why_not_ready()

        routes = Routes(
            auth,
            PresenceHooks(presence.queue),
            ClientRoutes(
                Bearers(verifier, config.readers, time.time, "reader"),
                Clients(presence, time.time),
                ChangeStream(presence.changes, draining),
            ),
            revoking.api,
            Operations(why_not, draining, {"/v1/rules": rules.answer}),
        )
        certificate = make_certificate(config.tls)
        # A background task that fails ends the process: better no service than one whose
        # presence or keys quietly stand still.
        async with asyncio.TaskGroup() as tasks:
            background = [tasks.create_task(issuer.keys.keep_fresh()) for issuer in issuers]
            works = (*presence.background(), *revoking.work(), gate.run(), rules.follow())
            background += [tasks.create_task(work) for work in (*works, *recheck)]
            if certificate is not None:
                background.append(tasks.create_task(certificate.follow()))
            await _listen(routes, draining, settings, config, certificate, rules)
            await presence.queue.flush(_FLUSH_SECONDS)
            for task in background:
                task.cancel()
        await presence.close()


async def _listen(
    routes: Routes,
    draining: Draining,
    settings: WebhookSettings,
    config: AuthConfig,
    certificate: ServerCertificate | None,
    rules: RuleFile,
) -> None:
    """Serve on one port, on two or on four until drained."""
    limits = Limits(body_bytes=longest_body(config.max_message_bytes))
    hooks = HttpServer(hooks_only(routes), draining, limits)
    api = HttpServer(clients_only(routes), draining)
    if config.tls is not None and certificate is not None:
        plain = operations_only(routes, lambda: rules.plain_api)
        served = [
            HttpServer(plain, draining).serve(settings),
            api.serve(settings, config.tls.api_port, certificate.context),
            hooks.serve(settings, config.tls.hooks_port, certificate.context),
        ]
    elif settings.hooks_port is not None:
        served = [api.serve(settings)]
    else:
        served = [HttpServer(routes, draining, limits).serve(settings)]
    if settings.hooks_port is not None:
        served.append(hooks.serve(settings, settings.hooks_port))
    await asyncio.gather(*served)


def main() -> None:
    """Start the process; exit code 2 if its configuration cannot be used."""
    settings = WebhookSettings()
    configure_logs("webhook", settings.log_level)
    try:
        config = load_config(settings.config_file, AuthConfig)
        _log.info(
            "starting",
            cluster=config.cluster,
            providers=len(config.providers) + len(config.introspection),
        )
        run(serve(config, settings))
    except ConfigError as error:
        _log.error("the configuration cannot be used", reason=str(error))
        sys.exit(2)


if __name__ == "__main__":
    main()
