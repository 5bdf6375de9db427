"""The issuers that the configuration names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import aiohttp

from liveconnect.api.operands import AuthConfig, JwtProvider
from liveconnect.common.jwks import KeyCache, KeySource, accepted_algorithms
from liveconnect.common.keysources import FileKeySource, HttpKeySource
from liveconnect.common.serviceaccounts import service_account_issuer
from liveconnect.common.settings import ConfigError
from liveconnect.common.tokens import Issuer, TokenKind


def make_issuers(config: AuthConfig, session: aiohttp.ClientSession) -> tuple[Issuer, ...]:
    """Return the issuers of devices' tokens, and last that of ServiceAccounts'.

    Raises:
        ConfigError: a provider says neither or both of where its keys are.
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
        groups_claim=provider.groups_claim,
    )


def _constant(value: str) -> Callable[[], str]:
    return lambda: value


def _source(provider: JwtProvider, session: aiohttp.ClientSession) -> KeySource:
    if provider.jwks_uri is not None and provider.jwks_file is None:
        return HttpKeySource(session, provider.jwks_uri)
    if provider.jwks_file is not None and provider.jwks_uri is None:
        return FileKeySource(Path(provider.jwks_file))
    raise ConfigError(f"provider {provider.issuer}: exactly one of jwks_uri and jwks_file")


def why_not_ready(issuers: Sequence[Issuer]) -> str | None:
    """Return None if somebody's tokens can be verified.

    One issuer that is away must not take the others' clients down with it: so one is enough.
    """
    if any(issuer.keys.usable for issuer in issuers):
        return None
    faults = (f"{issuer.name() or issuer.kind}: {issuer.keys.fault}" for issuer in issuers)
    return "no keys to verify tokens with: " + "; ".join(faults)
