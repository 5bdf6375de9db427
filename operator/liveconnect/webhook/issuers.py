"""The issuers that the configuration names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import aiohttp

from liveconnect.api.operands import AuthConfig, JwtProvider
from liveconnect.common.jwks import KeyCache, KeySource, accepted_algorithms
from liveconnect.common.keysources import DiscoveredKeySource, FileKeySource, HttpKeySource
from liveconnect.common.serviceaccounts import service_account_issuer
from liveconnect.common.settings import ConfigError
from liveconnect.common.tokens import Issuer, TokenKind
from liveconnect.webhook.adapters.introspection_endpoint import IntrospectionEndpoint
from liveconnect.webhook.introspection import Introspection


def make_issuers(config: AuthConfig, session: aiohttp.ClientSession) -> tuple[Issuer, ...]:
    """Return the issuers of devices' tokens, and last that of ServiceAccounts'.

    Raises:
        ConfigError: a provider says twice where its keys are.
    """
    devices = (_device_issuer(provider, session) for provider in config.providers)
    return (*devices, service_account_issuer(config.service_accounts, session))


def _device_issuer(provider: JwtProvider, session: aiohttp.ClientSession) -> Issuer:
    return Issuer(
        kind=TokenKind.DEVICE,
        name=_constant(provider.issuer),
        audiences=frozenset(provider.audiences),
        algorithms=accepted_algorithms(provider.algorithms),
        leeway_seconds=float(provider.leeway_seconds),
        keys=KeyCache(_source(provider, session)),
        client_id_claim=provider.client_id_claim,
        subject_claim=provider.subject_claim,
        groups_claim=provider.groups_claim,
    )


def _constant(value: str) -> Callable[[], str]:
    return lambda: value


def _source(provider: JwtProvider, session: aiohttp.ClientSession) -> KeySource:
    if provider.jwks_uri is not None and provider.jwks_file is not None:
        raise ConfigError(f"provider {provider.issuer}: not both of jwks_uri and jwks_file")
    if provider.jwks_uri is not None:
        return HttpKeySource(session, provider.jwks_uri)
    if provider.jwks_file is not None:
        return FileKeySource(Path(provider.jwks_file))
    return DiscoveredKeySource(session, provider.issuer)


def make_servers(config: AuthConfig, session: aiohttp.ClientSession) -> tuple[Introspection, ...]:
    """Return the authorization servers that are asked about tokens."""
    return tuple(
        Introspection(provider, IntrospectionEndpoint(session, provider))
        for provider in config.introspection
    )


def known_issuers(
    issuers: Sequence[Issuer], servers: Sequence[Introspection]
) -> Callable[[], list[str]]:
    """Return what tells all values that `Verified.issuer` can have."""

    def names() -> list[str]:
        own = {name for issuer in issuers if (name := issuer.name()) is not None}
        return sorted(own | {server.known_as for server in servers})

    return names


def why_not_ready(issuers: Sequence[Issuer], servers: Sequence[Introspection] = ()) -> str | None:
    """Return None if some device's token can be verified.

    One provider that is away must not take the others' clients down with it, so one is enough.
    Backends are not asked for: without the API server their keys cannot be had, and devices must
    get in nevertheless.
    """
    devices = [issuer for issuer in issuers if issuer.kind is TokenKind.DEVICE]
    if any(issuer.keys.usable for issuer in devices) or any(s.available for s in servers):
        return None
    faults = [f"{issuer.name()}: {issuer.keys.fault}" for issuer in devices]
    faults += [f"{server.name}: {server.fault}" for server in servers]
    return "no device's token can be verified: " + "; ".join(faults)
