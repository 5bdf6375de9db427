"""Signed tokens (JWS compact, RFC 7519): verified once, remembered until they expire."""

from __future__ import annotations

import binascii
import hashlib
import json
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError

from liveconnect.common.jwks import KeyCache, KeysUnavailableError

MAX_TOKEN_BYTES = 16 * 1024
_REMEMBERED = 100_000


class Refusal(StrEnum):
    """Why a token is refused, for logs and metrics; never shown to the client."""

    MALFORMED = "malformed"
    UNKNOWN_ISSUER = "unknown_issuer"
    ALGORITHM = "algorithm"
    SIGNATURE = "signature"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    AUDIENCE = "audience"
    NO_KEYS = "no_keys"


class TokenRefusedError(Exception):
    """The token proves nothing."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@dataclass(frozen=True)
class Identity:
    """What a verified token says."""

    issuer: str
    subject: str
    claims: Mapping[str, Any]
    expires: float
    """Unix time (seconds)."""


@dataclass(frozen=True)
class Issuer:
    """Somebody whose tokens are accepted."""

    issuer: str
    audiences: Sequence[str]
    algorithms: Sequence[str]
    keys: KeyCache
    leeway: float = 0.0


class Verifier:
    """Verifies tokens of several issuers, chosen by the token's own `iss`."""

    def __init__(self, issuers: Sequence[Issuer]) -> None:
        self._issuers = {i.issuer: i for i in issuers}
        self._seen: OrderedDict[bytes, tuple[Identity, float]] = OrderedDict()

    async def verify(self, token: str, now: float) -> Identity:
        """Check signature, issuer, audience and times.

        Args:
            token: The compact serialisation.
            now: Unix time (seconds).

        Raises:
            TokenRefusedError: with the reason.
        """
        digest = hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        seen = self._seen.get(digest)
        if seen is not None:
            identity, leeway = seen
            if identity.expires + leeway > now:
                return identity
            del self._seen[digest]
            raise TokenRefusedError(Refusal.EXPIRED)
        identity, leeway = await self._check(token, now)
        self._seen[digest] = (identity, leeway)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return identity

    async def _check(self, token: str, now: float) -> tuple[Identity, float]:
        if len(token) > MAX_TOKEN_BYTES:
            raise TokenRefusedError(Refusal.MALFORMED)
        header, unverified = peek(token)
        issuer = self._issuers.get(str(unverified.get("iss")))
        if issuer is None:
            raise TokenRefusedError(Refusal.UNKNOWN_ISSUER)
        if header.get("alg") not in issuer.algorithms:
            raise TokenRefusedError(Refusal.ALGORITHM)
        kid = header.get("kid")
        try:
            keys = await issuer.keys.keys(kid if isinstance(kid, str) else None)
        except KeysUnavailableError as error:
            raise TokenRefusedError(Refusal.NO_KEYS) from error
        try:
            claims = jwt.decode(token, keys, algorithms=list(issuer.algorithms)).claims
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise TokenRefusedError(Refusal.SIGNATURE) from error
        return _validated(claims, issuer, now), issuer.leeway


def peek(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims before anything is proved: only to choose the issuer."""
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenRefusedError(Refusal.MALFORMED)
    try:
        header, claims = (json.loads(urlsafe_b64decode(p + "=" * (-len(p) % 4))) for p in parts[:2])
    except (ValueError, binascii.Error, RecursionError) as error:
        raise TokenRefusedError(Refusal.MALFORMED) from error
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise TokenRefusedError(Refusal.MALFORMED)
    return header, claims


def _validated(claims: Mapping[str, Any], issuer: Issuer, now: float) -> Identity:
    expires, starts = claims.get("exp"), claims.get("nbf", 0)
    if not _is_time(expires) or not _is_time(starts):
        raise TokenRefusedError(Refusal.MALFORMED)
    if expires + issuer.leeway <= now:
        raise TokenRefusedError(Refusal.EXPIRED)
    if starts - issuer.leeway > now:
        raise TokenRefusedError(Refusal.NOT_YET_VALID)
    audience = claims.get("aud")
    given = audience if isinstance(audience, list) else [audience]
    if not any(a in issuer.audiences for a in given):
        raise TokenRefusedError(Refusal.AUDIENCE)
    return Identity(issuer.issuer, str(claims.get("sub", "")), claims, float(expires))


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
