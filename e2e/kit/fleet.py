"""Thousands of phones that come and go, all driven by one thread (paho without its own threads)."""

from __future__ import annotations

import contextlib
import random
import selectors
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from e2e.kit.issuer import Issuer
from e2e.kit.phone import Address

KEEP_ALIVE_SECONDS = 6
_CONNECT_SECONDS = 1.0
_CONNACK_SECONDS = 8.0
_RETRY_SECONDS = (0.3, 1.5)
_AT_ONCE = 40
"""Connects in one turn of the loop."""


@dataclass
class _Device:
    """A phone, and the connection that it has now."""

    client_id: str
    token: str
    wanted: bool = True
    client: mqtt.Client | None = None
    door: Address | None = None
    online: bool = False
    since: float = field(default_factory=time.monotonic)
    next_try: float = 0.0
    tried: float = 0.0

    def note(self, *, online: bool) -> None:
        """Note whether it is connected, and since when."""
        if online != self.online:
            self.online, self.since = online, time.monotonic()


@dataclass(frozen=True)
class Truth:
    """What a phone itself knows."""

    online: bool
    since: float
    """Monotonic seconds."""
    door: Address | None
    """Where it is connected."""


class Fleet:
    """Phones that keep connected as long as they are wanted, to one of several doors."""

    def __init__(self, name: str, size: int, issuer: Issuer, doors: Sequence[Address]) -> None:
        """Prepare them.

        Args:
            name: Prefix of their client ids.
            size: How many.
            issuer: Of their tokens.
            doors: Where they connect to; drawn anew each time.
        """
        names = [f"{name}-{number:05}" for number in range(size)]
        self._devices = {n: _Device(n, issuer.token(n, name)) for n in names}
        self._doors = list(doors)
        self._random = random.Random(size)  # noqa: S311 - a game, no secret
        self._selector = selectors.DefaultSelector()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="fleet")
        self._leaving: list[mqtt.Client] = []
        self.refused = 0
        """CONNACKs with a refusal."""

    def __enter__(self) -> Self:
        """Begin to connect."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """All go."""
        self._stop.set()
        self._thread.join(30)

    @property
    def client_ids(self) -> list[str]:
        """Everybody."""
        return list(self._devices)

    def truth(self) -> dict[str, Truth]:
        """What everybody knows of itself."""
        with self._lock:
            return {d.client_id: Truth(d.online, d.since, d.door) for d in self._devices.values()}

    def online(self) -> int:
        """How many are connected."""
        return sum(t.online for t in self.truth().values())

    def shake(self, share: float) -> None:
        """Some leave or come back, some are cut off, some roam with their old connection open."""
        with self._lock:
            for device in self._devices.values():
                if self._random.random() >= share:
                    continue
                act = self._random.choice(("toggle", "cut", "roam"))
                if act == "toggle":
                    device.wanted = not device.wanted
                elif act == "cut":
                    self._cut(device)
                elif device.online:
                    self._connect(device)

    def everybody(self, *, wanted: bool) -> None:
        """All shall be connected, or none."""
        with self._lock:
            for device in self._devices.values():
                device.wanted = wanted

    # --- the one thread

    def _run(self) -> None:
        misc = 0.0
        while not self._stop.is_set():
            events = self._selector.select(0.02)
            with self._lock:
                for key, mask in events:
                    self._serve(key.data, mask)
                now = time.monotonic()
                if now - misc > 1.0:
                    misc = now
                    self._keep_alive(now)
                self._meet_wishes(now)
        with self._lock:
            for device in self._devices.values():
                self._drop(device)
        self._selector.close()

    @staticmethod
    def _serve(client: mqtt.Client, mask: int) -> None:
        if mask & selectors.EVENT_READ:
            client.loop_read()
        if mask & selectors.EVENT_WRITE and client.want_write():
            client.loop_write()

    def _keep_alive(self, now: float) -> None:
        for device in self._devices.values():
            if device.client is None:
                continue
            device.client.loop_misc()
            if not device.online and now - device.tried > _CONNACK_SECONDS:
                self._drop(device)
        for client in self._leaving:
            client.loop_misc()
        self._leaving = [client for client in self._leaving if client.socket() is not None]

    def _meet_wishes(self, now: float) -> None:
        turns = 0
        for device in self._devices.values():
            if device.wanted and device.client is None and now >= device.next_try:
                turns += 1
                if turns > _AT_ONCE:
                    return
                self._connect(device)
            elif not device.wanted and device.client is not None:
                self._drop(device)

    def _connect(self, device: _Device) -> None:
        """Connect; an old connection stays open until the broker takes it away."""
        if device.client is not None:
            self._leaving.append(device.client)
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=device.client_id, reconnect_on_failure=False
        )
        client.connect_timeout = _CONNECT_SECONDS
        client.username_pw_set(device.token)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_socket_open = self._on_open
        client.on_socket_close = self._on_close
        client.on_socket_register_write = self._on_write_wanted
        client.on_socket_unregister_write = self._on_write_done
        client.user_data_set(device)
        device.client, device.door = client, self._random.choice(self._doors)
        device.tried = time.monotonic()
        device.note(online=False)
        device.next_try = device.tried + self._random.uniform(*_RETRY_SECONDS)
        try:
            client.connect(*device.door, keepalive=KEEP_ALIVE_SECONDS)
        except OSError:
            device.client = None

    def _drop(self, device: _Device) -> None:
        client, device.client = device.client, None
        device.note(online=False)
        if client is not None:
            client.disconnect()

    def _cut(self, device: _Device) -> None:
        """End the connection without a word to the broker."""
        client, device.client = device.client, None
        device.note(online=False)
        connection = None if client is None else client.socket()
        if isinstance(connection, socket.socket):
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(connection)
            connection.close()

    # --- paho's callbacks, on that thread

    def _on_connect(
        self, client: mqtt.Client, device: Any, _flags: Any, code: Any, _p: Any
    ) -> None:
        if code.is_failure:
            self.refused += 1
        elif device.client is client:
            device.note(online=True)

    @staticmethod
    def _on_disconnect(client: mqtt.Client, device: Any, *_: Any) -> None:
        if device.client is client:
            device.client = None
            device.note(online=False)

    def _on_open(self, client: mqtt.Client, _device: Any, connection: Any) -> None:
        self._selector.register(connection, selectors.EVENT_READ, client)

    def _on_close(self, _client: mqtt.Client, _device: Any, connection: Any) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(connection)

    def _on_write_wanted(self, client: mqtt.Client, _device: Any, connection: Any) -> None:
        with contextlib.suppress(KeyError, ValueError):
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.modify(connection, both, client)

    def _on_write_done(self, client: mqtt.Client, _device: Any, connection: Any) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.modify(connection, selectors.EVENT_READ, client)


def turns(seconds: float, every: float) -> Iterator[int]:
    """Count turns at equal distances until the time (seconds) is over."""
    began, number = time.monotonic(), 0
    waiting = threading.Event()
    while time.monotonic() - began < seconds:
        yield number
        number += 1
        waiting.wait(max(0.0, began + number * every - time.monotonic()))
