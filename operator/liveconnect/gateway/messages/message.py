"""One message."""

from __future__ import annotations

from typing import Final

import msgspec

from liveconnect.gateway.messages.properties import Properties

_LENGTH_BYTES: Final = 2
_PACKET_ID_BYTES: Final = 2


class Message(msgspec.Struct, frozen=True, gc=False):
    """A message that a broker will take: its parts are checked."""

    topic: str
    """A topic name."""
    payload: bytes
    qos: int
    """0, 1 or 2."""
    retain: bool
    properties: Properties | None = None

    @property
    def packet_bytes(self) -> int:
        """Length of the PUBLISH without its fixed header (MQTT 5, 3.3): what VerneMQ counts."""
        properties = 0 if self.properties is None else self.properties.size
        return (
            _LENGTH_BYTES
            + len(self.topic.encode())
            + (_PACKET_ID_BYTES if self.qos else 0)
            + _varint_bytes(properties)
            + properties
            + len(self.payload)
        )

    def __repr__(self) -> str:
        size = len(self.payload)
        return f"Message({self.topic!r}, {size} bytes, qos={self.qos}, retain={self.retain})"


def _varint_bytes(value: int) -> int:
    """Bytes that a number takes on the wire (MQTT 5, 1.5.5)."""
    return max(1, -(-value.bit_length() // 7))
