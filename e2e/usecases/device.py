"""An app's connection to LiveConnect, made for bad networks. MQTT 5, with paho.

What makes it robust:

- **Keep-alive**: the app pings while nothing else is sent, so that a dead connection is noticed on
  both sides within one and a half intervals, even if the network never says so.
- **No clean start, and a session expiry**: while the app is away the broker keeps its
  subscriptions and collects what is sent to it (QoS 1 and 2), for as long as the app asked for.
- **Full jitter**: each pause before the next try is random, up to a bound that doubles. When a
  broker dies, its 50,000 phones do not come back in the same second.
- **A new token for each connection**: access tokens are short-lived, and the old one may be what
  ended the last connection.
"""

from __future__ import annotations

import logging
import random
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

Handler = Callable[[mqtt.MQTTMessage], None]

_SESSION_TAKEN_OVER = 0x8E
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backoff:
    """How long to wait before the next try to connect (seconds)."""

    first: float = 1.0
    """The first pause's bound."""
    longest: float = 120.0
    """The bound that it does not grow beyond."""

    def pause(self, failures: int, chance: float, *, taken_over: bool = False) -> float:
        """Return a pause: anything from nothing to the bound (full jitter).

        Args:
            failures: connections that were lost or not made since the last good one, at least 1.
            chance: 0 to 1.
            taken_over: whether another connection has this client id now. Who comes back at once
                ousts that one, which comes back, too: so it is the longest pause, or half of it.
        """
        if taken_over:
            return (1 + chance) / 2 * self.longest
        return chance * min(self.first * 2.0 ** min(failures - 1, 32), self.longest)


@dataclass(frozen=True)
class Link:
    """Where an app connects to, and how."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    """What it trusts; None only where the network is trusted, as in a test."""
    keepalive_seconds: int = 60
    """Shorter notices dead connections earlier, and wakes the phone's radio more often."""
    session_expiry_seconds: int = 7 * 24 * 3600
    """For how long the broker keeps the session of an app that is away."""
    backoff: Backoff = Backoff()


class Device:
    """One app's connection. It comes back by itself, until it is stopped."""

    def __init__(self, client_id: str, token: Callable[[], str], link: Link) -> None:
        """Prepare; nothing is sent yet.

        Args:
            client_id: MQTT client id: the same for the life of an installation, or the broker
                keeps a session that nobody comes back to.
            token: returns a valid access token, a fresh one if the last is about to expire.
            link: where to connect to.
        """
        self.client_id = client_id
        self.failures = 0
        """Connections that were lost or not made since the last good one."""
        self.connects = 0
        """Connections that were made."""
        self.taken_over = False
        """Whether another connection with its client id ended the last one."""
        self._token = token
        self._link = link
        self._filters: dict[str, int] = {}
        self._stopped = threading.Event()
        self._subscribed = threading.Event()
        self._client = self._new_client()
        self._thread = threading.Thread(target=self._stay_connected, name=client_id, daemon=True)

    def listen(self, topic_filter: str, handler: Handler, qos: int = 1) -> None:
        """Subscribe with every connection. Before `start`.

        Handlers run on the connection's own thread: what takes time belongs on another one, or
        the keep-alive stops with it. QoS 1 may deliver twice: a handler must not mind.
        """
        self._filters[topic_filter] = qos
        self._client.message_callback_add(topic_filter, lambda _c, _u, message: handler(message))

    def start(self) -> None:
        """Connect, and stay connected."""
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye. The broker keeps the session for its expiry all the same."""
        self._stopped.set()
        self._client.disconnect()
        if self._thread.is_alive():
            self._thread.join(10)

    @property
    def listening(self) -> bool:
        """Whether it is connected, and the broker has taken its subscriptions."""
        return self._subscribed.is_set()

    def publish(
        self, topic: str, payload: bytes | str, qos: int = 1, properties: Properties | None = None
    ) -> mqtt.MQTTMessageInfo:
        """Publish; QoS 1 and 2 wait here for the next connection when there is none."""
        return self._client.publish(topic, payload, qos, properties=properties)

    def answer(self, request: mqtt.MQTTMessage, payload: bytes | str) -> None:
        """Answer a request (MQTT 5): to its response topic, with its correlation data."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's own
        correlation = getattr(request.properties, "CorrelationData", None)
        if correlation is not None:
            properties.CorrelationData = correlation
        topic = getattr(request.properties, "ResponseTopic", None)
        if topic is not None:
            self.publish(topic, payload, properties=properties)

    def drop_network(self) -> None:
        """Lose the connection without a word, as in a tunnel; for demonstrations."""
        connection = self._client.socket()
        if isinstance(connection, socket.socket):
            connection.shutdown(socket.SHUT_RDWR)

    # --- the connection's own thread

    def _stay_connected(self) -> None:
        while not self._stopped.is_set():
            try:
                self._connect_once()
            except (OSError, ValueError) as error:  # paho says ValueError for a socket that went
                _log.info("%s: no connection: %s", self.client_id, error)
            self._subscribed.clear()
            self.failures += 1
            chance = random.random()  # noqa: S311 - jitter
            backoff = self._link.backoff
            self._stopped.wait(backoff.pause(self.failures, chance, taken_over=self.taken_over))

    def _connect_once(self) -> None:
        """Connect, and return when the connection is over."""
        self._client.username_pw_set(self._token())
        kept = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's own
        kept.SessionExpiryInterval = self._link.session_expiry_seconds
        self._client.connect(
            self._link.host,
            self._link.port,
            self._link.keepalive_seconds,
            clean_start=False,
            properties=kept,
        )
        if not self._stopped.is_set():
            self._client.loop_forever()

    def _new_client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            self.client_id,
            protocol=mqtt.MQTTv5,
            # paho's own has no jitter, and would come back with the old token.
            reconnect_on_failure=False,
        )
        if self._link.tls is not None:
            client.tls_set_context(self._link.tls)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        return client

    def _on_connect(
        self,
        client: mqtt.Client,
        _userdata: object,
        _flags: mqtt.ConnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if code.is_failure:
            _log.warning("%s: refused: %s", self.client_id, code)
            return
        self.failures = 0
        self.taken_over = False
        self.connects += 1
        # The session may be gone (expired, or its broker lost): subscribing again does no harm,
        # and brings retained messages only if the subscription is new.
        once = SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
        wanted = [
            (topic_filter, SubscribeOptions(qos=qos, retainHandling=once))
            for topic_filter, qos in self._filters.items()
        ]
        if wanted:
            client.subscribe(wanted)
        else:
            self._subscribed.set()

    def _on_subscribe(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _mid: int,
        codes: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        for topic_filter, code in zip(self._filters, codes, strict=True):
            if code.is_failure:
                _log.warning("%s: may not listen to %s: %s", self.client_id, topic_filter, code)
        self._subscribed.set()

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _flags: mqtt.DisconnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if code.value == _SESSION_TAKEN_OVER:
            _log.warning("%s: another connection took this session over", self.client_id)
            self.taken_over = True
