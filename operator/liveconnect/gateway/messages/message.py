"""One message."""

from __future__ import annotations

import msgspec

from liveconnect.gateway.messages.properties import Properties


class Message(msgspec.Struct, frozen=True):
    """A message that a broker will take: its parts are checked."""

    topic: str
    """A topic name."""
    payload: bytes
    qos: int
    """0, 1 or 2."""
    retain: bool
    properties: Properties | None = None

    def __repr__(self) -> str:
        size = len(self.payload)
        return f"Message({self.topic!r}, {size} bytes, qos={self.qos}, retain={self.retain})"
