"""A device that is asked: MQTT 3.1.1 or 5."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

Reaction = Callable[["Device", mqtt.MQTTMessage], None]


class Device:
    """Reacts to its requests."""

    def __init__(
        self,
        port: int,
        client_id: str,
        react: Reaction,
        version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5,
        *,
        host: str = "127.0.0.1",
        token: str = "",
    ) -> None:
        """Connect, and subscribe to the own requests.

        Args:
            port: the broker's.
            client_id: its own.
            react: called with each request.
            version: of MQTT.
            host: the broker's.
            token: its access token.
        """
        self.client_id = client_id
        self.requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._react = react
        subscribed = threading.Event()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=version)
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda *_: subscribed.set()
        if token:
            self.client.username_pw_set(token)
        self.client.connect(host, port)
        self.client.loop_start()
        self.client.subscribe(f"clients/{client_id}/requests/+/+", 1)
        assert subscribed.wait(10)

    def _on_message(self, _c: mqtt.Client, _u: Any, message: mqtt.MQTTMessage) -> None:
        self.requests.put(message)
        self._react(self, message)

    def answer(
        self,
        request: mqtt.MQTTMessage,
        payload: str | bytes,
        *,
        correlation: bytes | None = None,
        content_type: str | None = None,
        user: list[tuple[str, str]] | None = None,
        topic: str | None = None,
    ) -> None:
        """Answer as MQTT 5 means it, or what the test wants."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's own
        asked: Any = request.properties
        properties.CorrelationData = correlation or asked.CorrelationData
        if content_type:
            properties.ContentType = content_type
        if user:
            properties.UserProperty = user
        self.client.publish(topic or asked.ResponseTopic, payload, 1, properties=properties)

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def echo(device: Device, request: mqtt.MQTTMessage) -> None:
    """Answer with what was asked."""
    device.answer(request, bytes(request.payload))


def echo_3_1_1(device: Device, request: mqtt.MQTTMessage) -> None:
    """Answer where MQTT 3.1.1 has to find out by itself."""
    device.client.publish(request.topic.replace("/requests/", "/replies/"), request.payload, 1)


def be_silent(_device: Device, _request: mqtt.MQTTMessage) -> None:
    """Never answer."""
