"""Kubernetes ServiceAccounts: backends prove who they are with tokens of the API server."""

from __future__ import annotations

import logging
from pathlib import Path

import aiohttp

from liveconnect.api.operands import ServiceAccountVerification
from liveconnect.common.jwks import KeyCache, UriKeys
from liveconnect.common.tokens import Issuer, TokenRefusedError, peek

_LOG = logging.getLogger(__name__)
PREFIX = "system:serviceaccount:"
_ALGORITHMS = ("RS256", "ES256", "ES384", "ES512")


def issuer(session: aiohttp.ClientSession, how: ServiceAccountVerification) -> Issuer | None:
    """The API server as an issuer; its name is the `iss` of our own token.

    None when this process has no token of its own (it does not run in a cluster): then no
    ServiceAccount is accepted.
    """
    token = Path(how.token_file)
    try:
        _, claims = peek(token.read_text().strip())
    except (OSError, TokenRefusedError) as error:
        _LOG.warning("no ServiceAccount is accepted: own token cannot be read (%s)", error)
        return None
    keys = KeyCache(UriKeys(session, how.jwks_uri, token=token, ca=Path(how.ca_file)))
    return Issuer(str(claims.get("iss")), [how.audience], _ALGORITHMS, keys)
