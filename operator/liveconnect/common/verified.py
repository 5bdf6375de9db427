"""What a verified token proves. Pure, and without the libraries that verify."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class TokenKind(StrEnum):
    """Whose token it is."""

    DEVICE = "device"
    SERVICE_ACCOUNT = "serviceaccount"


class Verified(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A token that is what it says."""

    kind: TokenKind
    issuer: str
    subject: str
    """`sub`, empty if a device's token has none."""
    claims: dict[str, Any]
    expires_at: float
    """`exp` (seconds since the epoch)."""
    client_id_claim: str = ""
    """Name of the claim that must equal the MQTT client id; empty if none need."""
    groups: frozenset[str] = frozenset()
    """What topic rules may be bound to."""
    token_id: str = ""
    """`jti`, empty if the token has none."""
    issued_at: float = 0.0
    """`iat` (seconds since the epoch), 0 if the token has none."""
