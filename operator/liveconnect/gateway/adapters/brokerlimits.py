"""What a broker says in its CONNACK that it takes (MQTT 5, 3.2.2.3)."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from paho.mqtt.properties import Properties

from liveconnect.gateway.messages import Message
from liveconnect.gateway.publishing import NotTakenError

_PACKET_IDS: Final = 65535
_FRAME_BYTES: Final = 1 + 4 + 2 + 2 + 1
"""Of a PUBLISH besides topic and payload, at most: header, length, topic length, id, properties."""


class BrokerLimits(msgspec.Struct, frozen=True):
    """A message beyond these would cost us the connection, and others their messages."""

    receive_maximum: int = _PACKET_IDS
    """Messages of QoS 1 and 2 that may wait for their acknowledgement."""
    packet_bytes: int | None = None
    qos: int = 2
    retain: bool = True

    @classmethod
    def of(cls, properties: Properties | None) -> BrokerLimits:
        """Return the limits that a CONNACK states."""

        def stated(name: str, otherwise: Any) -> Any:
            return getattr(properties, name, otherwise)

        return cls(
            receive_maximum=int(stated("ReceiveMaximum", _PACKET_IDS)),
            packet_bytes=stated("MaximumPacketSize", None),
            qos=int(stated("MaximumQoS", 2)),
            retain=bool(stated("RetainAvailable", 1)),
        )

    def check(self, message: Message) -> None:
        """Let messages pass that the broker takes.

        Raises:
            NotTakenError: it takes no such message.
        """
        if message.qos > self.qos:
            raise NotTakenError("qos", f"the broker takes at most {self.qos}")
        if message.retain and not self.retain:
            raise NotTakenError("retain", "the broker retains nothing")
        if self.packet_bytes is not None:
            size = _FRAME_BYTES + 4 * len(message.topic) + len(message.payload)
            if message.properties is not None:
                size += message.properties.size
            if size > self.packet_bytes:
                raise NotTakenError(
                    "payload", f"the broker takes at most {self.packet_bytes} bytes"
                )
