"""What is read of a token's claims, be they signed (RFC 7519) or answered (RFC 7662). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, TypeGuard

MAX_SUBJECT_LENGTH: Final = 1024
MAX_GROUPS: Final = 256
"""Further groups of a token are not looked at."""

Claims = Mapping[str, Any]

_NO_GROUPS: Final[frozenset[str]] = frozenset()


class TokenFault(StrEnum):
    """Why a token is refused; for logs and metrics, never for the client."""

    MISSING = "token-missing"
    TOO_LONG = "token-too-long"
    MALFORMED = "token-malformed"
    ISSUER = "token-issuer"
    ALGORITHM = "token-algorithm"
    KEYS_UNAVAILABLE = "token-keys-unavailable"
    KEY = "token-key"
    SIGNATURE = "token-signature"
    AUDIENCE = "token-audience"
    EXPIRED = "token-expired"
    NOT_YET_VALID = "token-not-yet-valid"
    CLAIMS = "token-claims"
    INACTIVE = "token-inactive"
    """The authorization server says so."""
    REVOKED = "token-revoked"
    """By somebody at our own API."""
    NOT_ASKED_YET = "token-not-asked-yet"
    """Nobody has asked the authorization server about it in this while."""
    PROVIDER_UNAVAILABLE = "token-provider-unavailable"
    """The authorization server does not answer."""


def check_times(claims: Claims, leeway: float, now: float) -> TokenFault | None:
    """Check `exp`, which must be there, and `nbf`.

    Args:
        claims: of the token.
        leeway: tolerated difference of clocks (seconds).
        now: seconds since the epoch.
    """
    expires, begins = claims.get("exp"), claims.get("nbf", 0)
    if not is_time(expires) or not is_time(begins):
        return TokenFault.CLAIMS
    if now >= expires + leeway:
        return TokenFault.EXPIRED
    if now < begins - leeway:
        return TokenFault.NOT_YET_VALID
    return None


def is_for(claims: Claims, audiences: frozenset[str]) -> bool:
    """Return whether `aud`, a name or a list of names, holds one of these."""
    audience = claims.get("aud")
    if isinstance(audience, str):
        return audience in audiences
    if not isinstance(audience, list):
        return False
    return any(isinstance(name, str) and name in audiences for name in audience)


def subject_of(claims: Claims, claim: str) -> str | None:
    """Return whose token it is, empty if it does not say; None if what it says is no name."""
    subject = claims.get(claim, "")
    if not isinstance(subject, str) or len(subject) > MAX_SUBJECT_LENGTH:
        return None
    return subject


def groups_of(claims: Claims, claim: str) -> frozenset[str]:
    """Return the groups: a list of names, or one name.

    What is no name is left out: who is in no group gets nothing by a group.
    """
    groups = claims.get(claim)
    if groups is None:
        return _NO_GROUPS
    names = groups if isinstance(groups, list) else [groups]
    return frozenset(name for name in names[:MAX_GROUPS] if isinstance(name, str) and name)


def token_id_of(claims: Claims) -> str:
    """Return `jti`, empty if there is none."""
    token_id = claims.get("jti")
    return token_id if isinstance(token_id, str) else ""


def issued_at(claims: Claims) -> float:
    """Return `iat` (seconds since the epoch); 0 if the token does not say."""
    moment = claims.get("iat")
    return float(moment) if is_time(moment) else 0.0


def is_time(value: object) -> TypeGuard[float]:
    """Return whether a claim is a NumericDate that arithmetic can be done with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
