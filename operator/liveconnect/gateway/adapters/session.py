"""One MQTT connection to the publisher pool, from CONNECT to its end.

It is used once: what is not acknowledged when it ends has failed, and its caller is told so. A
message that is sent again behind its caller's back would be one that the caller sends again, too.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any, Final

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from liveconnect.common.logs import Redacted, get_logger
from liveconnect.gateway.adapters.brokerlimits import BrokerLimits
from liveconnect.gateway.adapters.client import Client
from liveconnect.gateway.adapters.mqttproperties import mqtt_properties
from liveconnect.gateway.adapters.stream import Stream
from liveconnect.gateway.messages import Message
from liveconnect.gateway.publishing import (
    AckTimeoutError,
    BusyError,
    LinkDownError,
    PublishError,
    RefusedError,
)

KEEPALIVE_SECONDS: Final = 30
CONNECT_SECONDS: Final = 5.0
"""From the first SYN to the CONNACK."""
ACK_SECONDS: Final = 10.0
"""How long the broker's acknowledgement is waited for."""
TICK_SECONDS: Final = 0.5
MAX_WAITING_BYTES: Final = 32 * 1024 * 1024
"""Payloads that wait for the broker at most."""

_log = get_logger(__name__)


class ConnectError(Exception):
    """There is no connection; the message says why."""


class _Waiting(msgspec.Struct, gc=False):
    """A message that waits for its acknowledgement."""

    done: asyncio.Future[None]
    message: Message
    deadline: float


def _fail(one: _Waiting, error: PublishError) -> None:
    if not one.done.done():
        one.done.set_exception(error)


class Session:
    """One connection. Everything happens on the event loop; paho runs no thread."""

    def __init__(self, client_id: str, window: int) -> None:
        """Prepare a session.

        Args:
            client_id: nobody else's.
            window: messages that may wait for their acknowledgement.
        """
        self.client_id = client_id
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done when the connection is gone; with the reason."""
        self.alive = False
        """Whether it can be published on."""
        self._loop = asyncio.get_running_loop()
        self._window = window
        self._limits = BrokerLimits()
        self._waiting: dict[int, _Waiting] = {}
        self._queued: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._reading = False
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._stream = Stream(self._on_readable)
        self._client = self._make_client()
        self._ticker: asyncio.TimerHandle | None = None

    def _make_client(self) -> Client:
        client = Client(self.client_id, self._stream, self._on_acknowledged)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_socket_register_write = self._on_write_wanted
        return client

    # --- life

    async def connect(self, host: str, port: int, token: Redacted) -> None:
        """Connect.

        Args:
            host: the publisher pool's host name.
            port: its MQTT port.
            token: own ServiceAccount token, the MQTT user name.

        Raises:
            ConnectError: the broker cannot be reached, or refuses.
        """
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._loop.create_connection(lambda: self._stream, host, port)
                self._client.username_pw_set(token.reveal())
                self._client.connect(host, port, KEEPALIVE_SECONDS, clean_start=True)
                await self._connected
        except TimeoutError:
            self._stream.abort()
            raise ConnectError(f"no CONNACK within {CONNECT_SECONDS:g} s") from None
        except OSError as error:
            raise ConnectError(error.strerror or type(error).__name__) from None
        except BaseException:
            self._stream.abort()
            raise
        self._ticker = self._loop.call_later(TICK_SECONDS, self._tick)

    async def retire(self, within: float) -> None:
        """Wait for what waits, then disconnect.

        Args:
            within: seconds to wait for acknowledgements at most.
        """
        outstanding = [one.done for one in (*self._waiting.values(), *self._queued)]
        if outstanding:
            await asyncio.wait(outstanding, timeout=within)
        self._client.disconnect()
        self._client.loop_write()
        self._stream.flush()
        self._end("disconnected")

    def abort(self, reason: str) -> None:
        """End the connection at once."""
        self._stream.abort()
        self._end(reason)

    @property
    def waiting(self) -> int:
        """Messages that wait for their acknowledgement."""
        return len(self._waiting) + len(self._queued)

    def _tick(self) -> None:
        if self.ended.done():
            return
        now, late = time.monotonic(), False
        self._client.loop_misc()
        # In the order of sending, and the time-out is the same for all: the first is the oldest.
        # What is queued behind them is younger than what was sent.
        for one in self._waiting.values():
            if now <= one.deadline:
                break
            _fail(one, AckTimeoutError(f"no acknowledgement within {ACK_SECONDS:g} s"))
            late = True
        if late:
            # A broker of which one message waits that long serves the others no better.
            self.abort("the broker does not acknowledge")
            return
        if not self.ended.done():
            self._ticker = self._loop.call_later(TICK_SECONDS, self._tick)

    def _end(self, reason: str) -> None:
        self.alive = False
        if self._ticker is not None:
            self._ticker.cancel()
        if not self._connected.done():
            self._connected.set_exception(ConnectError(reason))
        for one in self._waiting.values():
            _fail(one, LinkDownError("the connection broke before the acknowledgement"))
        for one in self._queued:
            _fail(one, LinkDownError("the connection broke", sent=False))
        self._waiting.clear()
        self._queued.clear()
        self._waiting_bytes = 0
        if not self.ended.done():
            self.ended.set_result(reason)

    # --- publishing

    def publish(self, message: Message) -> asyncio.Future[None]:
        """Publish, as `publishing.Link.publish` says."""
        if not self.alive:
            raise LinkDownError("no connection to the publisher pool", sent=False)
        self._limits.check(message)
        size = len(message.payload)
        if not self._stream.writable or self._waiting_bytes + size > MAX_WAITING_BYTES:
            raise BusyError("the broker does not keep up")
        done: asyncio.Future[None] = self._loop.create_future()
        if message.qos == 0:
            self._send(message)
            done.set_result(None)
            return done
        if self.waiting >= self._window:
            raise BusyError(f"{self._window} messages wait for the broker already")
        one = _Waiting(done, message, time.monotonic() + ACK_SECONDS)
        self._waiting_bytes += size
        if self._queued or len(self._waiting) >= self._limits.receive_maximum:
            self._queued.append(one)
        else:
            self._waiting[self._send(message)] = one
        return done

    def _send(self, message: Message) -> int:
        """Give a message to paho; return its packet id."""
        for _ in range(2 + len(self._waiting)):
            info = self._client.publish(
                message.topic,
                message.payload,
                message.qos,
                retain=message.retain,
                properties=None
                if message.properties is None
                else mqtt_properties(message.properties),
            )
            if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
                return info.mid
            if info.rc != MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
                break
            # Only means that the packet id is in use still: 65535 messages later. Take the next.
        raise LinkDownError("the connection broke", sent=False)

    def _on_publish(
        self, _c: mqtt.Client, _u: Any, mid: int, code: ReasonCode, _p: Properties
    ) -> None:
        if not self._reading:
            return  # paho's word for "QoS 0 is written", with an id that may be somebody else's
        if not code.is_failure:
            self._on_acknowledged(mid)
            return
        one = self._release(mid)
        if one is not None:
            _fail(one, RefusedError(code.getName(), code.value))

    def _on_acknowledged(self, mid: int) -> None:
        one = self._release(mid)
        if one is not None and not one.done.done():
            one.done.set_result(None)

    def _release(self, mid: int) -> _Waiting | None:
        """Return the message that waits no longer, and let another take its place."""
        one = self._waiting.pop(mid, None)
        if one is not None:
            self._waiting_bytes -= len(one.message.payload)
        if self._queued:
            self._send_queued()
        return one

    def _send_queued(self) -> None:
        while self._queued and len(self._waiting) < self._limits.receive_maximum:
            one = self._queued.popleft()
            try:
                self._waiting[self._send(one.message)] = one
            except LinkDownError as error:
                _fail(one, error)
                return

    # --- paho's and the stream's callbacks

    def _on_write_wanted(self, _c: mqtt.Client, _u: Any, _s: Any) -> None:
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._client.loop_write()
        self._stream.flush()

    def _on_readable(self) -> None:
        self._reading = True
        try:
            unread = -1
            # One call reads as many packets as messages wait, whatever else has arrived.
            while unread != self._stream.unread:
                unread = self._stream.unread
                self._client.loop_read()
        finally:
            self._reading = False

    def _on_connect(
        self, _c: mqtt.Client, _u: Any, _f: Any, code: ReasonCode, properties: Properties | None
    ) -> None:
        if self._connected.done():
            return
        if code.is_failure:
            self._connected.set_exception(ConnectError(f"refused: {code.getName()}"))
            return
        self._limits = BrokerLimits.of(properties)
        self.alive = True
        self._connected.set_result(None)

    def _on_disconnect(
        self, _c: mqtt.Client, _u: Any, _f: Any, code: ReasonCode, _p: Properties | None
    ) -> None:
        self._end(code.getName())
