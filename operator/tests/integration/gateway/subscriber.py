"""A client that receives everything."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions


@dataclass(frozen=True)
class Received:
    """A message as it arrived."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: dict[str, Any] = field(default_factory=dict, compare=False)


class Subscriber:
    """Receives everything that a broker takes; retained messages only as they are published."""

    def __init__(self, port: int, session: str = "") -> None:
        """Subscribe.

        Args:
            port: the broker's.
            session: name of a session that outlives the connection, if it shall.
        """
        self._messages: queue.SimpleQueue[Received] = queue.SimpleQueue()
        self._subscribed = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, session, protocol=mqtt.MQTTv5)
        self._client.on_message = lambda _c, _u, m: self._messages.put(
            Received(m.topic, bytes(m.payload), m.qos, m.retain, _plain(m.properties))
        )
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        kept = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own
        kept.SessionExpiryInterval = 3600 if session else 0
        self._client.connect("127.0.0.1", port, clean_start=not session, properties=kept)
        self._client.loop_start()
        options = SubscribeOptions(qos=2, retainAsPublished=True, retainHandling=2)
        self._client.subscribe("#", options=options)
        assert self._subscribed.wait(10)

    def next(self, within: float = 5.0) -> Received:
        """Return the next message."""
        return self._messages.get(timeout=within)

    def drain(self) -> list[Received]:
        """Return everything that has arrived."""
        found = []
        while not self._messages.empty():
            found.append(self._messages.get())
        return found

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def _plain(properties: Properties | None) -> dict[str, Any]:
    """Return the properties by the names that paho gives them."""
    return {} if properties is None else dict(properties.json())  # type: ignore[no-untyped-call] # paho's own
