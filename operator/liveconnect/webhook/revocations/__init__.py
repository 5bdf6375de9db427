"""Which tokens are worth nothing any more, although they look good. Pure."""

from liveconnect.webhook.revocations.revocation import (
    LONGEST_SECONDS,
    Kind,
    Order,
    OrderError,
    Revocation,
    parse_order,
)
from liveconnect.webhook.revocations.revoked import SKEW_SECONDS, Revoked

__all__ = [
    "LONGEST_SECONDS",
    "SKEW_SECONDS",
    "Kind",
    "Order",
    "OrderError",
    "Revocation",
    "Revoked",
    "parse_order",
]
