"""What MQTT 5 lets a message carry besides its payload (MQTT 5, 3.3.2.3)."""

from __future__ import annotations

import msgspec

_TAG_BYTES = 3
"""Of a property besides its content: identifier and length."""


class Properties(msgspec.Struct, frozen=True, kw_only=True):
    """Properties of a message; None and nothing are what is not sent."""

    expiry: int | None = None
    """Seconds after which brokers no longer deliver it."""
    content_type: str | None = None
    response_topic: str | None = None
    correlation: bytes | None = None
    user: tuple[tuple[str, str], ...] = ()
    """Names and values, in their order."""

    @property
    def size(self) -> int:
        """Bytes on the wire at most."""
        texts = (self.content_type or "", self.response_topic or "", *sum(self.user, ()))
        return (
            sum(4 * len(text) + _TAG_BYTES for text in texts)
            + len(self.correlation or b"")
            + 3 * _TAG_BYTES
        )
