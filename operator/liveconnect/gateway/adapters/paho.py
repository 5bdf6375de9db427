"""The link to the publisher pool, over paho. Its thread stays in here.

paho calls back on its own thread; results cross to the loop with `call_soon_threadsafe`, batched:
under load one crossing carries many acknowledgements.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from liveconnect.gateway.messages import Message

_LOG = logging.getLogger(__name__)
_KEEPALIVE = 20
#: How long the broker's acknowledgement is waited for (seconds).
ACK_SECONDS = 10.0


class LinkDownError(Exception):
    """There is no connection to the publisher pool, or it broke before the acknowledgement."""


class WindowFullError(Exception):
    """Too many messages wait for their acknowledgement."""


class RefusedError(Exception):
    """The broker refused the message; the reason is the broker's."""


class AckTimeoutError(Exception):
    """The broker did not acknowledge in time: the message may or may not be out."""


class Link:
    """One MQTT connection to the publisher pool; reconnects by itself."""

    def __init__(
        self, host: str, port: int, token_file: Path, client_id: str, max_inflight: int
    ) -> None:
        self._host, self._port, self._token_file = host, port, token_file
        self._max_inflight = max_inflight
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._results: deque[tuple[int, str]] = deque()
        self._crossing = False
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.connected = False
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
        )  # fmt: skip
        client.max_inflight_messages_set(max_inflight)
        client.max_queued_messages_set(max_inflight * 2)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        self._client = client

    def start(self) -> None:
        """Begin to connect, in a thread of its own."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Wait for what is under way, then disconnect."""
        deadline = time.monotonic() + ACK_SECONDS
        while self._waiting and time.monotonic() < deadline:
            await asyncio.wait(self._waiting.values(), timeout=0.5)
        self._stopping.set()
        self._client.disconnect()
        if self._thread:
            await asyncio.to_thread(self._thread.join, 5)

    async def publish(self, message: Message) -> None:
        """Publish and wait for what the QoS promises: 0 sent, 1 PUBACK, 2 PUBCOMP.

        Raises:
            LinkDownError: when there is no link, or it broke while waiting.
            WindowFullError: when too many messages wait already.
            RefusedError: when the broker refused it.
            AckTimeoutError: when no acknowledgement came in time.
        """
        if not self.connected:
            raise LinkDownError("no connection to the publisher pool")
        if len(self._waiting) >= self._max_inflight:
            raise WindowFullError(f"{self._max_inflight} messages wait for the broker")
        assert self._loop is not None  # noqa: S101 - started
        done: asyncio.Future[None] = self._loop.create_future()
        info = self._client.publish(message.topic, message.payload, message.qos, message.retain)
        if info.rc != mqtt.MQTT_ERR_SUCCESS:
            raise LinkDownError("the connection to the publisher pool broke")
        if message.qos == 0:
            return
        self._waiting[info.mid] = done
        try:
            async with asyncio.timeout(ACK_SECONDS):
                await done
        except TimeoutError as error:
            raise AckTimeoutError(f"no acknowledgement within {ACK_SECONDS:.0f} s") from error
        finally:
            self._waiting.pop(info.mid, None)

    def _run(self) -> None:
        """Connect, serve the connection until it ends, again; the token is read each time."""
        failures = 0
        while not self._stopping.is_set():
            try:
                self._client.username_pw_set(self._token_file.read_text().strip())
                self._client.connect(self._host, self._port, keepalive=_KEEPALIVE, clean_start=True)
                begun = time.monotonic()
                while self._client.loop(timeout=1.0) == mqtt.MQTT_ERR_SUCCESS:
                    if self._stopping.is_set() and not self._client.want_write():
                        break
                failures = 0 if time.monotonic() - begun > 5 else failures + 1
            except (OSError, ValueError) as error:
                failures += 1
                _LOG.warning("publisher pool: %s", type(error).__name__)
            self._mark(connected=False)
            delay = min(0.2 * 2 ** min(failures, 6), 10) * (0.5 + secrets.randbelow(100) / 100)
            self._stopping.wait(delay)

    def _mark(self, *, connected: bool) -> None:
        """Tell the loop; what waited for an acknowledgement will not get it from this link."""
        if self._loop is None or self._loop.is_closed():
            return

        def apply() -> None:
            self.connected = connected
            if not connected:
                for done in self._waiting.values():
                    if not done.done():
                        done.set_exception(
                            LinkDownError("the connection broke before the acknowledgement")
                        )

        with contextlib.suppress(RuntimeError):  # the loop closed in this very moment
            self._loop.call_soon_threadsafe(apply)

    def _on_connect(
        self, _c: mqtt.Client, _u: Any, _f: mqtt.ConnectFlags, code: ReasonCode, _p: Properties | None
    ) -> None:
        if code.is_failure:
            _LOG.warning("publisher pool refused the connection: %s", code)
            return
        _LOG.info("connected to the publisher pool")
        self._mark(connected=True)

    def _on_disconnect(
        self, _c: mqtt.Client, _u: Any, _f: mqtt.DisconnectFlags, code: ReasonCode, _p: Properties | None
    ) -> None:
        if not self._stopping.is_set():
            _LOG.warning("connection to the publisher pool ended: %s", code)
        self._mark(connected=False)

    def _on_publish(
        self, _c: mqtt.Client, _u: Any, mid: int, code: ReasonCode, _p: Properties | None
    ) -> None:
        with self._lock:
            self._results.append((mid, str(code) if code.is_failure else ""))
            if self._crossing:
                return
            self._crossing = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        """On the loop: everything that was acknowledged since the last crossing."""
        with self._lock:
            results, self._results = self._results, deque()
            self._crossing = False
        for mid, failure in results:
            done = self._waiting.get(mid)
            if done is None or done.done():
                continue
            if failure:
                done.set_exception(RefusedError(failure))
            else:
                done.set_result(None)


