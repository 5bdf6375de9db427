"""A revocation, and the order that asks for one."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import msgspec

from liveconnect.common.jsonerrors import MALFORMED

LONGEST_SECONDS: Final = 366 * 24 * 3600
_DEFAULT_SECONDS: Final = 30 * 24 * 3600

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class Kind(StrEnum):
    """What is revoked."""

    SUBJECT = "subject"
    """All tokens of somebody that were issued until then."""
    CLIENT = "clientId"
    """All tokens with which this MQTT client id connected, issued until then."""
    TOKEN = "tokenId"  # noqa: S105 - the name of a member
    """One token, by its `jti`."""


class Revocation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is revoked, and for how long that is remembered. Times are seconds since the epoch."""

    kind: Kind
    value: str
    until: float
    """Forgotten then: no token may live longer that was issued before."""
    issuer: str = ""
    """Only tokens of this issuer; empty: of every issuer."""
    reason: str = ""
    """Why, for people."""
    by: str = ""
    """Who asked for it."""
    id: str = ""
    at: float = 0.0
    """When: tokens that were issued later are good."""


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Body of `POST /v1/revocations`: exactly one of the first three."""

    subject: _Name | None = None
    client_id: _Name | None = None
    token_id: _Name | None = None
    issuer: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    expires_in_seconds: Annotated[int, msgspec.Meta(ge=60, le=LONGEST_SECONDS)] = _DEFAULT_SECONDS
    """For how long the revocation is kept: at least as long as the tokens live."""
    reason: Annotated[str, msgspec.Meta(max_length=256)] = ""

    def revocation(self, by: str, now: float) -> Revocation:
        """Return what is asked for.

        Args:
            by: who asks.
            now: seconds since the epoch.

        Raises:
            OrderError: it is not exactly one thing.
        """
        named = [
            (kind, value)
            for kind, value in (
                (Kind.SUBJECT, self.subject),
                (Kind.CLIENT, self.client_id),
                (Kind.TOKEN, self.token_id),
            )
            if value is not None
        ]
        if len(named) != 1:
            raise OrderError("exactly one of subject, clientId and tokenId is needed")
        kind, value = named[0]
        until = now + self.expires_in_seconds
        return Revocation(kind, value, until, self.issuer, self.reason, by)


class OrderError(ValueError):
    """An order that cannot be followed; the message names the field."""


_decode: Final = msgspec.json.Decoder(Order).decode


def parse_order(content: bytes) -> Order:
    """Read an order.

    Raises:
        OrderError: it is none.
    """
    try:
        return _decode(content)
    except msgspec.ValidationError as error:
        raise OrderError(str(error)) from None
    except MALFORMED:
        raise OrderError("the body is not JSON") from None
