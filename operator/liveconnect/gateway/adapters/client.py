"""paho's client over a connection that exists already, and honest about refusals of QoS 2.

The three overridden methods are not paho's public interface: `test_client.py` and the integration
tests fail if another version of it calls them no longer. The version is locked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal

import paho.mqtt.client as mqtt
from paho.mqtt import _packet
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from liveconnect.gateway.adapters.stream import Stream

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

_PACKET_ID_BYTES: Final = 2
_FIRST_FAILURE: Final = 0x80


class Client(mqtt.Client):
    """One connection's client: never reconnects, keeps no message for another connection."""

    def __init__(
        self, client_id: str, stream: Stream, on_acknowledged: Callable[[int], None]
    ) -> None:
        """Make a client.

        Args:
            client_id: the MQTT client id.
            stream: its connection.
            on_acknowledged: called with the packet id of a message that the broker took. What it
                refused comes by `on_publish`, with the reason.
        """
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
        )
        self._stream = stream
        self._on_acknowledged = on_acknowledged
        # The window is the session's affair. paho's costs a walk through all that is in flight
        # for each acknowledgement, and does not know the broker's Receive Maximum.
        self.max_inflight_messages_set(0)
        self.max_queued_messages_set(0)

    def _create_socket(self) -> SocketLike:
        return self._stream

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        """Take a PUBACK or PUBCOMP: packet id, reason if it has one, properties (MQTT 5, 3.4).

        Nobody wants the properties of a success, and paho takes a fifth of all the gateway's time
        to make objects of them (make bench, `gateway-qos1-vs-paho`).
        """
        packet = self._in_packet["packet"]
        reason = packet[_PACKET_ID_BYTES : _PACKET_ID_BYTES + 1] or b"\x00"
        if len(packet) < _PACKET_ID_BYTES or reason[0] >= _FIRST_FAILURE:
            return super()._handle_pubackcomp(cmd)
        packet_id = int.from_bytes(packet[:_PACKET_ID_BYTES], "big")
        with self._out_message_mutex:
            known = self._out_messages.pop(packet_id, None)
        if known is not None:
            self._on_acknowledged(packet_id)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle_pubrec(self) -> MQTTErrorCode:
        """Take a PUBREC; one with a failure is the end of the message (MQTT 5, 4.3.3).

        paho does not look at the reason and would take the PUBCOMP that follows for success.
        """
        command, packet = self._in_packet["command"], self._in_packet["packet"]
        received = _packet.decode_pubrec(command, packet, self._protocol)
        if not received.reason.is_failure:
            return super()._handle_pubrec()
        with self._out_message_mutex:
            if received.mid not in self._out_messages:
                return MQTTErrorCode.MQTT_ERR_SUCCESS
            return self._do_on_publish(received.mid, received.reason, received.properties)
