"""The gateway's own ServiceAccount token, and when to present a newer one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, TypeGuard

import msgspec

from liveconnect.common.jose import MalformedTokenError, parse_compact
from liveconnect.common.logs import Redacted
from liveconnect.common.serviceaccounts import OwnToken

RENEWAL_SHARE: Final = 0.75
"""Of a token's life, after which a connection that was made with it is replaced.

Brokers cut a connection when its token expires. The kubelet writes a new token when 80 % of the
old one's life is over: what is left of it is the time to use the new one without a gap."""


class Credential(msgspec.Struct, frozen=True):
    """A token as it was read."""

    token: Redacted
    renew_at: float
    """Seconds since the epoch; infinite if the token does not say when it expires."""

    def is_same(self, other: Credential) -> bool:
        """Return whether both are the same token."""
        return self.token.reveal() == other.token.reveal()


def read_credential(path: Path) -> Credential | None:
    """Return the token that the file holds now; None if there is none."""
    token = OwnToken(path).read()
    return Credential(token, _renew_at(token)) if token else None


def _renew_at(token: Redacted) -> float:
    try:
        claims = parse_compact(token.reveal()).claims
    except MalformedTokenError:
        return float("inf")
    issued, expires = claims.get("iat"), claims.get("exp")
    if not _is_number(issued) or not _is_number(expires):
        return float("inf")
    return float(issued) + RENEWAL_SHARE * (float(expires) - float(issued))


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
