"""paho's client over a connection that exists already: paho writes and reads the packets.

What waits for an acknowledgement, and under which packet id, is the session's affair: paho keeps
that in memory only and walks through all of it for each acknowledgement. The overridden methods are
not paho's public interface; `test_session.py` fails if another version of it calls them no longer.
The version is locked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, Protocol

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MessageType, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from liveconnect.common.mqttclient import StreamClient
from liveconnect.gateway.adapters.mqttproperties import mqtt_properties
from liveconnect.gateway.messages import Message

_PACKET_ID_BYTES: Final = 2
_FIRST_FAILURE: Final = 0x80
_DIRECT: Final = frozenset({int(MessageType.PUBLISH), int(MessageType.PUBREL) | 2})
"""Commands whose packets need nothing of paho's after they are written."""


class Acknowledgements(Protocol):
    """Who is told what became of a packet id."""

    def on_received(self, packet_id: int) -> None:
        """Note a PUBREC: the broker has the message; it waits for `Client.release`."""

    def on_acknowledged(self, packet_id: int) -> None:
        """Note a PUBACK or PUBCOMP: the end, in success."""

    def on_refused(self, packet_id: int, code: ReasonCode) -> None:
        """Note any of the three with a failure: the end (MQTT 5, 4.3)."""


class Client(StreamClient):
    """One connection's client: keeps no message."""

    def __init__(self, client_id: str, acknowledgements: Acknowledgements) -> None:
        """Make a client.

        Args:
            client_id: the MQTT client id.
            acknowledgements: told of them.
        """
        super().__init__(client_id)
        self._acknowledgements = acknowledgements

    def next_packet_id(self) -> int:
        """Return the next packet id, whether or not it is in use."""
        return self._mid_generate()

    def send(self, message: Message, packet_id: int, *, again: bool = False) -> bool:
        """Write a PUBLISH; return whether there is a connection.

        Args:
            message: what is published.
            packet_id: 0 for QoS 0.
            again: it may have been sent before, under this packet id.
        """
        properties = message.properties
        return (
            self._send_publish(
                packet_id,
                message.topic.encode(),
                message.payload,
                message.qos,
                message.retain,
                again,
                None,
                None if properties is None else mqtt_properties(properties),
            )
            is MQTTErrorCode.MQTT_ERR_SUCCESS
        )

    def release(self, packet_id: int) -> bool:
        """Write a PUBREL; return whether there is a connection."""
        return self._sock is not None and (
            self._send_pubrel(packet_id) is MQTTErrorCode.MQTT_ERR_SUCCESS
        )

    def _packet_queue(
        self,
        command: int,
        packet: bytes | bytearray,
        mid: int,
        qos: int,
        info: mqtt.MQTTMessageInfo | None = None,
    ) -> MQTTErrorCode:
        if command not in _DIRECT:
            return super()._packet_queue(command, packet, mid, qos, info)
        try:
            self.stream.send(packet)
        except ConnectionResetError:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        self._call_socket_register_write()
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        """Take a PUBACK or PUBCOMP: packet id, reason if it has one, properties (MQTT 5, 3.4).

        Nobody wants the properties, and paho takes a fifth of all the gateway's time to make
        objects of them (make bench, `gateway-single-qos1`).
        """
        kind = PacketTypes.PUBACK if cmd == "PUBACK" else PacketTypes.PUBCOMP
        return self._take(self._acknowledgements.on_acknowledged, kind)

    def _handle_pubrec(self) -> MQTTErrorCode:
        """Take a PUBREC; one with a failure is the end of the message (MQTT 5, 4.3.3)."""
        return self._take(self._acknowledgements.on_received, PacketTypes.PUBREC)

    def _take(self, on_success: Callable[[int], None], kind: int) -> MQTTErrorCode:
        packet = self._in_packet["packet"]
        if len(packet) < _PACKET_ID_BYTES:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        packet_id = packet[0] << 8 | packet[1]
        if len(packet) > _PACKET_ID_BYTES and packet[_PACKET_ID_BYTES] >= _FIRST_FAILURE:
            code = ReasonCode(kind, identifier=packet[_PACKET_ID_BYTES])
            self._acknowledgements.on_refused(packet_id, code)
        else:
            on_success(packet_id)
        return MQTTErrorCode.MQTT_ERR_SUCCESS
