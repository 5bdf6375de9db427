"""`liveconnect-webhook`: the auth service's process."""

from __future__ import annotations

import contextlib
from pathlib import Path

import aiohttp
from aiohttp import web

from liveconnect.api.operands import AuthConfig
from liveconnect.common import logs
from liveconnect.common.jwks import FileKeys, KeyCache, KeysUnavailableError, UriKeys
from liveconnect.common.process import application, serve
from liveconnect.common.serviceaccounts import issuer as service_account_issuer
from liveconnect.common.settings import ServiceSettings
from liveconnect.common.tokens import Issuer, Verifier
from liveconnect.webhook.adapters.presence_store import PresenceStore
from liveconnect.webhook.routes import Routes
from liveconnect.webhook.service import Authorizer

#: Hook bodies are small; VerneMQ's own limit on messages is far below this.
_MAX_BODY = 1 << 20


def _devices(config: AuthConfig, session: aiohttp.ClientSession) -> list[Issuer]:
    return [
        Issuer(
            issuer=p.issuer,
            audiences=p.audiences,
            algorithms=[a.value for a in p.algorithms],
            keys=KeyCache(
                FileKeys(Path(p.jwks_file)) if p.jwks_file else UriKeys(session, p.jwks_uri or "")
            ),
            leeway=p.leeway_seconds,
        )
        for p in config.providers
    ]


async def build(config: AuthConfig) -> web.Application:
    """The application, its connections open."""
    session = aiohttp.ClientSession()
    devices = _devices(config, session)
    cluster = service_account_issuer(session, config.service_accounts)
    backends = [cluster] if cluster else []
    for issuer in [*devices, *backends]:
        # A set that cannot be loaded is said in the log; the next token tries again.
        with contextlib.suppress(KeysUnavailableError):
            await issuer.keys.keys(None)

    def ready() -> str:
        missing = [i.issuer for i in devices if not i.keys.available]
        return "" if len(missing) < len(devices) else f"no key set of {', '.join(missing)} yet"

    app = application(ready=ready, max_body=_MAX_BODY)
    presence = PresenceStore(Path(config.presence_url_file))
    await presence.start()

    async def close(_: web.Application) -> None:
        await presence.stop()
        await session.close()

    app.on_cleanup.append(close)
    authorizer = Authorizer(config, Verifier([*devices, *backends]))
    Routes(authorizer, presence, Verifier(backends), frozenset(config.readers)).register(app)
    return app


def main() -> None:
    """Serve until told to stop."""
    settings = ServiceSettings()
    logs.configure(settings.log_level)
    config = AuthConfig.model_validate_json(settings.config.read_bytes())
    serve(build(config), settings)


if __name__ == "__main__":
    main()
