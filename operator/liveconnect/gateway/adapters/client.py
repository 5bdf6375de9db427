"""paho's client over a connection that exists already, and honest about refusals of QoS 2.

The two overridden methods are not paho's public interface: `test_client.py` and the integration
tests fail if another version of it calls them no longer. The version is locked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import paho.mqtt.client as mqtt
from paho.mqtt import _packet
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from liveconnect.gateway.adapters.stream import Stream

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike


class Client(mqtt.Client):
    """One connection's client: never reconnects, keeps no message for another connection."""

    def __init__(self, client_id: str, stream: Stream) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
        )
        self._stream = stream
        # The window is the session's affair. paho's costs a walk through all that is in flight
        # for each acknowledgement, and does not know the broker's Receive Maximum.
        self.max_inflight_messages_set(0)
        self.max_queued_messages_set(0)

    def _create_socket(self) -> SocketLike:
        return self._stream

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
