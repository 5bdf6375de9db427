"""One MQTT connection to the publisher pool, from CONNECT to its end.

It is used once. What is not acknowledged when it ends is handed to `orphaned`, in the order in
which it was published; what nobody takes has failed, and its caller is told so.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from liveconnect.api.operands import ClientTls
from liveconnect.common.logs import Redacted, get_logger
from liveconnect.gateway.adapters.brokerlimits import BrokerLimits
from liveconnect.gateway.adapters.client import Client
from liveconnect.gateway.adapters.clienttls import tls_context
from liveconnect.gateway.messages import Message
from liveconnect.gateway.publishing import (
    AckTimeoutError,
    BusyError,
    LinkDownError,
    PublishError,
    Receipt,
    RefusedError,
    ShareError,
)

KEEPALIVE_SECONDS: Final = 30
CONNECT_SECONDS: Final = 5.0
"""From the first SYN to the CONNACK."""
ACK_SECONDS: Final = 10.0
"""How long the broker's acknowledgement is waited for."""
TICK_SECONDS: Final = 0.5
MAX_WAITING_BYTES: Final = 32 * 1024 * 1024
"""Payloads that wait for the broker at most."""
SILENT: Final = "the broker does not acknowledge"
"""Why a connection ended whose acknowledgements did not come in time."""

_log = get_logger(__name__)


class ConnectError(Exception):
    """There is no connection; the message says why."""


class Waiting(msgspec.Struct, gc=False):
    """A message that waits for its acknowledgement."""

    message: Message
    caller: str
    """Whose message it is."""
    done: asyncio.Future[Receipt]
    deadline: float = 0.0
    """Of the acknowledgement, in the time of `time.monotonic`."""


Orphaned = Callable[[Waiting, PublishError], bool]
"""Takes a message that has lost its connection; False if it is to fail."""


def _fail(one: Waiting, error: PublishError) -> None:
    if not one.done.done():
        one.done.set_exception(error)


def _let(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


def _why(error: OSError) -> str:
    """What to say of a connection that could not be made; the name of a file that is missing."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the publishers' certificate is refused: {error.verify_message}"
    said = error.strerror or type(error).__name__
    return f"{said}: {error.filename}" if error.filename else said


class Connection:
    """The connection itself. Everything happens on the event loop; paho runs no thread."""

    keepalive: int = KEEPALIVE_SECONDS
    """Seconds of silence after which each side asks whether the other is there."""

    def __init__(self, client_id: str) -> None:
        """Prepare a connection.

        Args:
            client_id: nobody else's.
        """
        self.client_id = client_id
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done when the connection is gone; with the reason."""
        self.alive = False
        """Whether it can be published on."""
        self.session_present = False
        """Whether the broker still knew this client id's session."""
        self._loop = asyncio.get_running_loop()
        self._limits = BrokerLimits()
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._client = self._make_client()
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._stream = self._client.stream
        self._ticker: asyncio.TimerHandle | None = None

    def _make_client(self) -> Client:
        return Client(self.client_id, self)

    async def connect(
        self,
        host: str,
        port: int,
        token: Redacted,
        *,
        session_seconds: int = 0,
        tls: ClientTls | None = None,
        name: str | None = None,
    ) -> None:
        """Connect.

        Args:
            host: host name or address of a publisher node, or of the pool.
            port: its MQTT port.
            token: own ServiceAccount token, the MQTT user name.
            session_seconds: how long the broker keeps the session after the end; 0 begins and
                ends with the connection.
            tls: how the publishers are known and who we are; None for plain MQTT.
            name: what the node's certificate is for; `host` if None.

        Raises:
            ConnectError: the broker cannot be reached, or refuses.
        """
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own
        if session_seconds:
            properties.SessionExpiryInterval = session_seconds
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                context = tls_context(tls)
                await self._loop.create_connection(
                    lambda: self._stream,
                    host,
                    port,
                    ssl=context,
                    server_hostname=None if context is None else (name or host),
                )
                self._client.username_pw_set(token.reveal())
                self._client.connect(
                    host,
                    port,
                    self.keepalive,
                    clean_start=not session_seconds,
                    properties=properties,
                )
                await self._connected
        except TimeoutError:
            self._stream.abort()
            raise ConnectError(f"no CONNACK within {CONNECT_SECONDS:g} s") from None
        except OSError as error:
            raise ConnectError(_why(error)) from None
        except BaseException:
            self._stream.abort()
            raise
        self._ticker = self._loop.call_later(TICK_SECONDS, self._tick)

    def disconnect(self) -> None:
        """End the connection as MQTT wants it."""
        self._client.disconnect()
        self._client.write_all()
        self._end("disconnected")

    def abort(self, reason: str) -> None:
        """End the connection at once."""
        self._stream.abort()
        self._end(reason)

    def _tick(self) -> None:
        if self.ended.done():
            return
        self._client.loop_misc()
        if not self.ended.done() and self._is_silent(time.monotonic()):
            # A broker of which one message waits that long serves the others no better.
            self.abort(SILENT)
        if not self.ended.done():
            self._ticker = self._loop.call_later(TICK_SECONDS, self._tick)

    def _is_silent(self, now: float) -> bool:
        """Return whether an acknowledgement is overdue."""
        raise NotImplementedError

    def _end(self, reason: str) -> None:
        self.alive = False
        if self._ticker is not None:
            self._ticker.cancel()
        if not self._connected.done():
            self._connected.set_exception(ConnectError(reason))
        if not self.ended.done():
            self.ended.set_result(reason)

    def on_received(self, packet_id: int) -> None:
        """Note a PUBREC."""
        raise NotImplementedError

    def on_acknowledged(self, packet_id: int) -> None:
        """Note a PUBACK or PUBCOMP."""
        raise NotImplementedError

    def on_refused(self, packet_id: int, code: ReasonCode) -> None:
        """Note a refusal."""
        raise NotImplementedError

    # --- paho's callbacks

    def _on_connect(
        self,
        _c: mqtt.Client,
        _u: Any,
        flags: mqtt.ConnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if self._connected.done():
            return
        if code.is_failure:
            self._connected.set_exception(ConnectError(f"refused: {code.getName()}"))
            return
        self._limits = BrokerLimits.of(properties)
        self.session_present = bool(flags.session_present)
        self.alive = True
        self._connected.set_result(None)

    def _on_disconnect(
        self, _c: mqtt.Client, _u: Any, _f: Any, code: ReasonCode, _p: Properties | None
    ) -> None:
        self._end(code.getName())


class Session(Connection):
    """A connection for messages whose callers wait."""

    def __init__(
        self,
        client_id: str,
        window: int,
        orphaned: Orphaned | None = None,
    ) -> None:
        """Prepare a session.

        Args:
            client_id: nobody else's.
            window: messages that may wait for their acknowledgement.
            orphaned: is offered what is not acknowledged at the end; nobody if None.
        """
        super().__init__(client_id)
        self._window = window
        self._orphaned = orphaned
        self._waiting: dict[int, Waiting] = {}
        self._queued: deque[Waiting] = deque()
        self._waiting_bytes = 0
        self._by_caller: dict[str, int] = {}
        self._patient: deque[asyncio.Future[None]] = deque()
        self._sent: asyncio.Future[Receipt] = self._loop.create_future()
        """What all messages of QoS 0 that were sent have come to."""
        self._sent.set_result(Receipt.SENT)

    async def retire(self, within: float) -> None:
        """Wait for what waits, then disconnect.

        Args:
            within: seconds to wait for acknowledgements at most.
        """
        outstanding = [one.done for one in (*self._waiting.values(), *self._queued)]
        if outstanding:
            await asyncio.wait(outstanding, timeout=within)
        self.disconnect()

    @property
    def waiting(self) -> int:
        """Messages that wait for their acknowledgement."""
        return len(self._waiting) + len(self._queued)

    def _is_silent(self, now: float) -> bool:
        # In the order of sending, and the time-out is the same for all: the first is the oldest.
        # What is queued behind them is younger than what was sent.
        first = next(iter(self._waiting.values()), None)
        if first is None or now <= first.deadline:
            return False
        late = AckTimeoutError(f"no acknowledgement within {ACK_SECONDS:g} s")
        for one in self._waiting.values():
            if now <= one.deadline:
                break
            self._orphan(one, late)
        return True

    def _end(self, reason: str) -> None:
        super()._end(reason)
        while self._patient:
            _let(self._patient.popleft())
        waiting, queued = self._waiting, self._queued
        self._waiting, self._queued, self._waiting_bytes = {}, deque(), 0
        for one in waiting.values():
            self._orphan(one, LinkDownError("the connection broke before the acknowledgement"))
        for one in queued:
            self._orphan(one, LinkDownError("the connection broke", sent=False))

    def _orphan(self, one: Waiting, error: PublishError) -> None:
        if one.done.done():
            return
        if self._orphaned is None or not self._orphaned(one, error):
            _fail(one, error)

    # --- publishing

    def publish(self, message: Message, caller: str = "") -> asyncio.Future[Receipt]:
        """Publish, as `publishing.Link.publish` says."""
        if not self.alive:
            raise LinkDownError("no connection to the publisher pool", sent=False)
        self._limits.check(message)
        size = len(message.payload)
        if not self._stream.writable or self._waiting_bytes + size > MAX_WAITING_BYTES:
            raise BusyError("the broker does not keep up")
        if message.qos == 0:
            if not self._client.send(message, 0):
                raise LinkDownError("the connection broke", sent=False)
            return self._sent
        if self.waiting >= self._window:
            raise BusyError(f"{self._window} messages wait for the broker already")
        self._check_share(caller)
        done: asyncio.Future[Receipt] = self._loop.create_future()
        one = Waiting(message, caller, done)
        self._waiting_bytes += size
        self._by_caller[caller] = self._by_caller.get(caller, 0) + 1
        if self._queued or len(self._waiting) >= self._limits.receive_maximum:
            self._queued.append(one)
        else:
            self._send(one)
        return done

    def _check_share(self, caller: str) -> None:
        """Let callers take what they like of half of the window, and their share of the rest."""
        if self.waiting * 2 < self._window:
            return
        counts = self._by_caller
        share = self._window // (len(counts) + (caller not in counts))
        if counts.get(caller, 0) >= max(share, 1):
            raise ShareError(f"{share} of your messages wait for the broker already")

    def _send(self, one: Waiting) -> None:
        packet_id = self._client.next_packet_id()
        while packet_id in self._waiting:
            packet_id = self._client.next_packet_id()
        one.deadline = time.monotonic() + ACK_SECONDS
        if not self._client.send(one.message, packet_id):
            raise LinkDownError("the connection broke", sent=False)
        self._waiting[packet_id] = one

    def on_received(self, packet_id: int) -> None:
        """Let the message go for good: nothing of it has to be remembered beyond us."""
        if packet_id in self._waiting:
            self._client.release(packet_id)

    def on_acknowledged(self, packet_id: int) -> None:
        """Tell the caller."""
        one = self._waiting.pop(packet_id, None)
        if one is None:
            return
        if not one.done.done():
            one.done.set_result(Receipt.ACKNOWLEDGED)
        self._make_room(one)

    def on_refused(self, packet_id: int, code: ReasonCode) -> None:
        """Tell the caller."""
        one = self._waiting.pop(packet_id, None)
        if one is None:
            return
        _fail(one, RefusedError(code.getName(), code.value))
        self._make_room(one)

    async def room(self) -> None:
        """Return when there is room for another message, or there will be none."""
        if self.alive and not self._has_room:
            turn = self._loop.create_future()
            self._patient.append(turn)
            await turn

    @property
    def _has_room(self) -> bool:
        return (
            self.waiting < self._window
            and self._stream.writable
            and self._waiting_bytes < MAX_WAITING_BYTES // 2
        )

    def _make_room(self, gone: Waiting) -> None:
        self._waiting_bytes -= len(gone.message.payload)
        left = self._by_caller[gone.caller] - 1
        if left:
            self._by_caller[gone.caller] = left
        else:
            del self._by_caller[gone.caller]
        if self._patient and self._has_room:
            _let(self._patient.popleft())
        while self._queued and len(self._waiting) < self._limits.receive_maximum:
            one = self._queued.popleft()
            try:
                self._send(one)
            except LinkDownError as error:
                self._orphan(one, error)
                return
