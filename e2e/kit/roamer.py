"""A phone on the move: paho keeps it connected by itself, over whatever network there is."""

from __future__ import annotations

import threading
import time
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from e2e.kit.eventually import eventually
from e2e.kit.phone import Address, Received, Version

_SESSION_EXPIRY_SECONDS = 600
_RETRY_SECONDS = (1, 2)


class Roamer:
    """A device with a persistent session that reconnects until its `with` block ends."""

    def __init__(
        self, client_id: str, token: str, version: Version, *, keepalive_seconds: int
    ) -> None:
        """Prepare it.

        Args:
            client_id: MQTT client id.
            token: Access token.
            version: Protocol to speak.
            keepalive_seconds: After this long a silence it asks; after twice as long it gives up.
        """
        self.client_id = client_id
        self._version = version
        self._keepalive = keepalive_seconds
        self._lock = threading.Lock()
        self._messages: list[Received] = []
        self._connects = 0
        self._losses = 0
        self._subscribed = threading.Event()
        self._filter = ""
        self._client = self._new_client(token)

    def __enter__(self) -> Self:
        """Nothing yet: it comes with `come`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Go, and stay away."""
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def messages(self) -> list[Received]:
        """Everything that arrived, over all its connections."""
        with self._lock:
            return list(self._messages)

    @property
    def reconnects(self) -> int:
        """How often it was let in again."""
        return max(0, self._connects - 1)

    @property
    def losses(self) -> int:
        """How often it noticed that its connection was gone."""
        return self._losses

    def connected(self) -> bool:
        """Whether it believes to be connected."""
        return self._client.is_connected()

    def come(self, address: Address, topic_filter: str, *, within: float) -> None:
        """Connect and subscribe (QoS 2), as often as it takes.

        Raises:
            NotInTimeError: When it has no subscription after that time (seconds).
        """
        self._filter = topic_filter
        properties = None
        if self._version is Version.V5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho
            properties.SessionExpiryInterval = _SESSION_EXPIRY_SECONDS
        # In MQTT 5 the session of a client id that was never there begins empty without a clean
        # start; with one, every reconnect would end it.
        self._client.connect_async(
            *address,
            keepalive=self._keepalive,
            clean_start=False if self._version is Version.V5 else mqtt.MQTT_CLEAN_START_FIRST_ONLY,
            properties=properties,
        )
        self._client.loop_start()
        eventually(self._subscribed.is_set, within=within, every=0.05, what="SUBACK")

    def _new_client(self, token: str) -> mqtt.Client:
        v5 = self._version is Version.V5
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.client_id,
            clean_session=None if v5 else False,
            protocol=MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311,
        )
        client.username_pw_set(token)
        client.reconnect_delay_set(*_RETRY_SECONDS)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, code: Any, _p: Any) -> None:
        if code.is_failure:
            return
        self._connects += 1
        if not self._subscribed.is_set():
            client.subscribe(self._filter, 2)

    def _on_disconnect(self, _client: mqtt.Client, *_: Any) -> None:
        self._losses += 1

    def _on_subscribe(
        self, _client: mqtt.Client, _data: Any, _mid: int, codes: Any, _: Any
    ) -> None:
        if not codes[0].is_failure:
            self._subscribed.set()

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        payload = message.payload.decode(errors="replace")
        seen = Received(message.topic, payload, message.qos, message.dup, time.monotonic())
        with self._lock:
            self._messages.append(seen)
