"""A phone: an MQTT client outside the cluster (paho), with everything that it saw."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, NamedTuple

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from e2e.kit.eventually import eventually

_SESSION_EXPIRY_SECONDS = 3600
#: paho translates MQTT 3.1.1 return codes to MQTT 5 reason codes; this is the way back.
_RETURN_CODES = {0x00: 0, 0x84: 1, 0x85: 2, 0x88: 3, 0x86: 4, 0x87: 5}


class Version(Enum):
    """The protocol that a phone speaks."""

    V311 = "3.1.1"
    V5 = "5"

    @property
    def refused(self) -> int:
        """CONNACK code of a refusal by the auth service."""
        return 5 if self is Version.V311 else 0x86

    @property
    def denied(self) -> int:
        """SUBACK code of a topic that is not allowed."""
        return 0x80 if self is Version.V311 else 0x87


class Address(NamedTuple):
    """Where a phone connects to."""

    host: str
    port: int

    def __str__(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Received:
    """One PUBLISH that arrived."""

    topic: str
    payload: str
    qos: int
    dup: bool
    at: float
    """Monotonic seconds."""


class Phone:
    """One device. It never reconnects by itself: each connect is somebody's decision."""

    def __init__(
        self,
        client_id: str,
        token: str | None,
        *,
        version: Version = Version.V5,
        persistent: bool = False,
        tls: ssl.SSLContext | None = None,
        websocket: bool = False,
    ) -> None:
        """Prepare a phone.

        Args:
            client_id: MQTT client id.
            token: Access token, sent as user name; None to come anonymously.
            version: Protocol to speak.
            persistent: Whether its session stays while it is away.
            tls: What it trusts, for listeners with TLS; None to come without.
            websocket: Whether it speaks MQTT over WebSocket.
        """
        self.client_id = client_id
        self.version = version
        self._token = token
        self._persistent = persistent
        self._tls = tls
        self._websocket = websocket
        self._lock = threading.Lock()
        self._messages: list[Received] = []
        self._grants: dict[int, list[int]] = {}
        self._connack: int | None = None
        self._session_present = False
        self._client: mqtt.Client | None = None

    @property
    def messages(self) -> list[Received]:
        """Everything that arrived, over all its connections."""
        with self._lock:
            return list(self._messages)

    @property
    def session_present(self) -> bool:
        """Whether the broker had kept its session at the last connect."""
        return self._session_present

    def connected(self) -> bool:
        """Whether it is connected now."""
        client = self._client
        # paho keeps saying *connected* after it lost a connection that it shall not renew.
        return client is not None and client.is_connected() and client.socket() is not None

    def connect(self, address: Address, *, within: float = 10) -> int:
        """Connect and return the CONNACK code as it was on the wire.

        Raises:
            OSError: When nobody listens.
            NotInTimeError: When no CONNACK comes within the time (seconds).
        """
        self._stop()
        self._connack = None
        self._grants.clear()  # packet ids begin anew with each connection
        client = self._client = self._new_client()
        properties = None
        if self.version is Version.V5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho
            expiry = _SESSION_EXPIRY_SECONDS if self._persistent else 0
            properties.SessionExpiryInterval = expiry
        client.connect(
            address.host,
            address.port,
            keepalive=30,
            clean_start=self._clean_start(),
            properties=properties,
        )
        client.loop_start()
        eventually(lambda: self._connack is not None, within=within, every=0.01, what="CONNACK")
        assert self._connack is not None
        return self._connack

    def subscribe(self, topic_filter: str, qos: int = 2, *, within: float = 10) -> int:
        """Subscribe and return the SUBACK code."""
        assert self._client is not None
        _, mid = self._client.subscribe(topic_filter, qos)
        assert mid is not None, "not connected"
        codes = eventually(lambda: self._grants.get(mid), within=within, every=0.01, what="SUBACK")
        return codes[0]

    def publish(self, topic: str, payload: str, qos: int = 1) -> None:
        """Publish and wait for the broker's acknowledgement (QoS 1 and 2)."""
        assert self._client is not None
        self._client.publish(topic, payload, qos).wait_for_publish(10)

    def with_payload(self, payload: str) -> list[Received]:
        """What arrived with this payload, duplicates included."""
        return [m for m in self.messages if m.payload == payload]

    def cut(self) -> None:
        """Abort the TCP connection, as if the phone had gone into a tunnel: no DISCONNECT."""
        assert self._client is not None
        connection = self._client.socket()
        assert isinstance(connection, socket.socket), "not connected"
        # Linger 0 turns the close into a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
        connection.close()
        self._client.loop_stop()
        self._client = None

    def disconnect(self) -> None:
        """Say goodbye."""
        self._stop()

    def _stop(self) -> None:
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def _clean_start(self) -> bool | Literal[3]:
        """MQTT 5 says it per connect; in 3.1.1 it is `clean_session` of the client."""
        if self.version is Version.V5:
            return not self._persistent
        return mqtt.MQTT_CLEAN_START_FIRST_ONLY

    def _new_client(self) -> mqtt.Client:
        v5 = self.version is Version.V5
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.client_id,
            clean_session=None if v5 else not self._persistent,
            protocol=MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311,
            transport="websockets" if self._websocket else "tcp",
            reconnect_on_failure=False,
        )
        if self._tls is not None:
            client.tls_set_context(self._tls)
            client.tls_insecure_set(not self._tls.check_hostname)
        if self._websocket:
            client.ws_set_options(path="/mqtt")
        if self._token is not None:
            client.username_pw_set(self._token)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _on_connect(
        self, _client: mqtt.Client, _userdata: Any, flags: Any, code: Any, _properties: Any
    ) -> None:
        self._session_present = bool(flags.session_present)
        value = int(code.value)
        self._connack = value if self.version is Version.V5 else _RETURN_CODES.get(value, value)

    def _on_subscribe(
        self, _client: mqtt.Client, _userdata: Any, mid: int, codes: Any, _properties: Any
    ) -> None:
        self._grants[mid] = [int(code.value) for code in codes]

    def _on_message(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        seen = Received(
            topic=message.topic,
            payload=message.payload.decode(errors="replace"),
            qos=message.qos,
            dup=message.dup,
            at=time.monotonic(),
        )
        with self._lock:
            self._messages.append(seen)
