"""What a broker says in its CONNACK that it takes (MQTT 5, 3.2.2.3)."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from paho.mqtt.properties import Properties

from liveconnect.gateway.messages import Message
from liveconnect.gateway.publishing import NotTakenError

_PACKET_IDS: Final = 65535
_HEADER_BYTES: Final = 1 + 4
"""Fixed header of a PUBLISH, at most."""


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
        most = self.packet_bytes
        if most is not None and _HEADER_BYTES + message.packet_bytes > most:
            raise NotTakenError("payload", f"the broker takes at most {most} bytes")
