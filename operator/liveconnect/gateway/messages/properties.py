"""What MQTT 5 lets a message carry besides its payload (MQTT 5, 3.3.2.3)."""

from __future__ import annotations

import msgspec

_TAG_BYTES = 1
_LENGTH_BYTES = 2
_EXPIRY_BYTES = _TAG_BYTES + 4


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
        """Bytes on the wire, without their length."""
        alone = (self.content_type, self.response_topic, self.correlation)
        return (
            (0 if self.expiry is None else _EXPIRY_BYTES)
            + sum(_TAG_BYTES + _bytes(value) for value in alone if value is not None)
            + sum(_TAG_BYTES + _bytes(name) + _bytes(value) for name, value in self.user)
        )


def _bytes(value: str | bytes) -> int:
    return _LENGTH_BYTES + len(value.encode() if isinstance(value, str) else value)
