"""paho's client on the event loop: paho reads and writes the packets, the loop the bytes.

Why so: ADR 0008.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from liveconnect.common.mqttstream import Stream

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike


class StreamClient(mqtt.Client):
    """One connection's client, MQTT 5. It never reconnects."""

    def __init__(self, client_id: str) -> None:
        """Make a client; its `stream` is to be connected before it is.

        Args:
            client_id: the MQTT client id.
        """
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
        )
        self.stream = Stream(self._read_all)
        """The connection."""
        self._soon = asyncio.get_running_loop().call_soon
        self.on_socket_register_write = self._on_write_wanted

    def write_all(self) -> None:
        """Write what waits to be written."""
        self.loop_write()
        self.stream.flush()

    def _create_socket(self) -> SocketLike:
        return self.stream

    def _on_write_wanted(self, _c: mqtt.Client, _u: Any, _s: Any) -> None:
        self._soon(self.write_all)

    def _read_all(self) -> None:
        unread = -1
        # One call reads as many packets as paho thinks that there are, which is one.
        while unread != self.stream.unread:
            unread = self.stream.unread
            self.loop_read()
