"""Tokens of Kubernetes ServiceAccounts, verified by the API server's own keys.

The issuer is the one of this process's own token, and the keys come from the API server, which is
shown that token: nothing has to be configured, and nobody has to be asked for each token.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

import aiohttp

from liveconnect.api.operands import ServiceAccountVerification
from liveconnect.api.v1alpha1 import Algorithm
from liveconnect.common.jose import MalformedTokenError, parse_compact
from liveconnect.common.jwks import KeyCache
from liveconnect.common.keysources import HttpKeySource
from liveconnect.common.logs import Redacted
from liveconnect.common.tokens import Issuer, TokenKind

_ALGORITHMS: Final = frozenset(
    {Algorithm.RS256.value, Algorithm.ES256.value, Algorithm.ES384.value, Algorithm.ES512.value}
)
"""What kube-apiserver signs with."""

_LEEWAY_SECONDS: Final = 5.0


class OwnToken:
    """This process's own ServiceAccount token; the kubelet replaces the file in place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._issuer: str | None = None

    def subject(self) -> str | None:
        """Return the token's `sub`, this process's own name; None when there is no token."""
        token = self.read()
        return None if token is None else _claim(token, "sub")

    def read(self) -> Redacted | None:
        """Return the token as it is now, None when there is none."""
        try:
            return Redacted(self._path.read_text(encoding="ascii").strip())
        except (OSError, UnicodeDecodeError):
            return None

    def issuer(self) -> str | None:
        """Return the token's `iss`; None until the file can be read.

        Read once: the issuer of a cluster's tokens does not change while a pod lives.
        """
        if self._issuer is None:
            token = self.read()
            self._issuer = None if token is None else _claim(token, "iss")
        return self._issuer


def _claim(token: Redacted, name: str) -> str | None:
    try:
        value = parse_compact(token.reveal()).claims.get(name)
    except MalformedTokenError:
        return None
    return value if isinstance(value, str) else None


def service_account_issuer(
    verification: ServiceAccountVerification, session: aiohttp.ClientSession
) -> Issuer:
    """Return the issuer of this Kubernetes cluster's ServiceAccount tokens.

    The subject of what it verifies is `system:serviceaccount:<namespace>:<name>`.

    Args:
        verification: where keys, own token and CA are, and the audience that is ours.
        session: used to fetch the keys; its owner closes it.
    """
    own = OwnToken(Path(verification.token_file))

    def authorization() -> dict[str, str]:
        token = own.read()
        return {} if token is None else {"Authorization": f"Bearer {token.reveal()}"}

    def tls() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=verification.ca_file)

    source = HttpKeySource(session, verification.jwks_uri, headers=authorization, tls=tls)
    return Issuer(
        kind=TokenKind.SERVICE_ACCOUNT,
        name=own.issuer,
        audiences=frozenset({verification.audience}),
        algorithms=_ALGORITHMS,
        leeway_seconds=_LEEWAY_SECONDS,
        keys=KeyCache(source),
    )
