"""Who is meant: a device by its token's claims, or a backend by its ServiceAccount."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liveconnect.api.v1alpha1 import Cluster, Introspection, Jwt
from liveconnect.cli.failure import CommandError
from liveconnect.cli.objects import read_text
from liveconnect.common.claims import groups_of
from liveconnect.common.policy import Pool
from liveconnect.common.verified import TokenKind, Verified

#: Whether a token is still good is not what is asked here (2100, in seconds since the epoch).
_NOT_SOON = 4_102_444_800.0


@dataclass(frozen=True)
class Asker:
    """Whose question it is, as if a token had proven it."""

    client_id: str
    pool: Pool
    identity: Verified


def device(cluster: Cluster, claims_file: Path, client_id: str | None) -> Asker:
    """A device with these claims, on the subscriber pool.

    Args:
        cluster: its providers say which claims mean what.
        claims_file: a JSON object; `-` is the standard input.
        client_id: its MQTT client id; what the claims say when not given.

    Raises:
        CommandError: the claims cannot be read, or no provider is for them.
    """
    claims = _claims(claims_file)
    provider = _provider(cluster, claims.get("iss"))
    claimed = claims.get(provider.clientIDClaim)
    named = client_id or (claimed if isinstance(claimed, str) else "")
    if not named:
        raise CommandError(f"no client id: say --client-id, or claim {provider.clientIDClaim}")
    subject = claims.get(provider.subjectClaim)
    identity = Verified(
        kind=TokenKind.DEVICE,
        issuer=str(claims.get("iss", "")),
        subject=subject if isinstance(subject, str) else "",
        claims=claims,
        expires_at=_NOT_SOON,
        client_id_claim=provider.clientIDClaim,
        groups=groups_of(claims, provider.groupsClaim),
    )
    return Asker(named, Pool.SUBSCRIBER, identity)


def backend(account: str, client_id: str | None) -> Asker:
    """A backend with this ServiceAccount, on the publisher pool.

    Args:
        account: `namespace:name`.
        client_id: its MQTT client id, and the pod that its token is for: of account for the pods
            of the gateway only.

    Raises:
        CommandError: the account is not of that form.
    """
    namespace, separator, name = account.partition(":")
    if not namespace or not separator or not name:
        raise CommandError(f"{account}: a ServiceAccount is said as namespace:name")
    subject = f"system:serviceaccount:{namespace}:{name}"
    named = client_id or name
    claims = {"kubernetes.io": {"pod": {"name": named}}}
    identity = Verified(TokenKind.SERVICE_ACCOUNT, "", subject, claims, _NOT_SOON)
    return Asker(named, Pool.PUBLISHER, identity)


def _claims(file: Path) -> dict[str, Any]:
    try:
        claims = json.loads(read_text(file))
    except ValueError as error:
        raise CommandError(f"{file} is not JSON: {error}") from None
    if not isinstance(claims, dict):
        raise CommandError(f"{file}: the claims of a token are one JSON object")
    return claims


def _provider(cluster: Cluster, issuer: object) -> Jwt | Introspection:
    """The provider for tokens of this issuer; the first when the claims name none."""
    providers = [entry.jwt or entry.introspection for entry in cluster.spec.auth.tokens]
    known = [provider for provider in providers if provider is not None]
    for provider in known:
        if issuer is None or provider.issuer in {None, issuer}:
            return provider
    names = ", ".join(str(provider.issuer) for provider in known)
    raise CommandError(f"iss {issuer!r} is none of the object's providers ({names})")
