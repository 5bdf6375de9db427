"""A dev broker on a loopback address of its own."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from e2e.images.broker import broker_binary

KEY = "contract-key"
AUTH = tuple(f"auth_on_{a}{v}" for a in ("register", "publish", "subscribe") for v in ("", "_m5"))
EVENTS = (
    "on_register",
    "on_register_m5",
    "on_client_wakeup",
    "on_client_gone",
    "on_client_offline",
)


class Node:
    """One process; the folder is its disk."""

    def __init__(
        self,
        address: str,
        folder: Path,
        hooks: str,
        cookie: str = "secret",
        extra: Sequence[str] = (),
        endpoint: Callable[[str], str] | None = None,
    ) -> None:
        self.address = address
        self.name = f"VerneMQ@{address}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        etc = folder / "etc"
        etc.mkdir(parents=True, exist_ok=True)
        lines = [
            f"nodename = {self.name}",
            "distributed_cookie = unused",
            "plugins.vmq_webhooks = on",
            "plugins.vmq_acl = off",
            *(f"allow_{a}_during_netsplit = on"
              for a in ("register", "publish", "subscribe", "unsubscribe")),
            f"listener.tcp.mqtt = {address}:1883",
            f"listener.vmq.clustering = {address}:44053",
            f"listener.http.default = {address}:8888",
            *extra,
        ]  # fmt: skip
        for hook in (*AUTH, *EVENTS):
            lines += [
                f"vmq_webhooks.{hook}.hook = {hook}",
                f"vmq_webhooks.{hook}.endpoint = "
                + (endpoint(hook) if endpoint else f"{hooks}/hooks/{address}"),
            ]
        (etc / "vernemq.conf").write_text("\n".join(lines) + "\n")
        (etc / "vm.args").write_text(f"-name {self.name}\n-setcookie {cookie}\n")
        (etc / "advanced.config").write_text(
            f'[{{vmq_server, [{{http_endpoint_api_keys, [{{<<"{KEY}">>, "mgmt", undefined}}]}}]}}].'
        )

    def start(self) -> None:
        """Start, and wait until the hooks are registered."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Start the process."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(broker_binary()), "console", "-noshell", "-noinput"],
                env=self._environment(), stdout=log, stderr=log,
            )  # fmt: skip

    def wait(self) -> None:
        """Wait until the hooks are registered.

        Raises:
            AssertionError: They are not in time, or the process has ended.
        """
        hooks = len(AUTH) + len(EVENTS)
        eventually(lambda: self.exited() or len(self.api("webhooks/show")["table"]) == hooks)
        assert not self.exited(), self.log()

    def _environment(self) -> dict[str, str]:
        base = {"DEV_BROKER_BASE": str(self._folder), "DEV_BROKER_JOIN_DELAY": "200ms"}
        return {**os.environ, **base}

    def command(self, *words: str) -> str:
        """`vernemq <words>` beside the process, which must exit with 0; what it prints."""
        command = [str(broker_binary()), *words]
        done = subprocess.run(
            command, env=self._environment(), check=True, capture_output=True, text=True
        )
        return done.stdout

    def log(self) -> str:
        """What it has said since it was first started."""
        return (self._folder / "log").read_text()

    def stop(self, *, kill: bool = False) -> int:
        """End the process; its exit code."""
        assert self._process is not None
        self._process.kill() if kill else self._process.terminate()
        code = self._process.wait(10)
        self._process = None
        return code

    def lose_disk(self) -> None:
        """Empty the disk of a node that does not run."""
        shutil.rmtree(self._folder / "data")

    def exited(self) -> bool:
        """Whether it ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def get(self, path: str, key: str | None = None) -> tuple[int, str]:
        """GET; status and body."""
        request = urllib.request.Request(f"http://{self.address}:8888{path}")
        if key is not None:
            token = base64.b64encode(f"{key}:".encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        try:
            with urllib.request.urlopen(request, timeout=65) as answer:  # noqa: S310 - our own
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def api(self, words: str) -> Any:
        """A management command that must succeed."""
        status, body = self.get(f"/api/v1/{words}", KEY)
        assert status == 200, (words, status)
        return json.loads(body)

    def members(self) -> dict[str, bool]:
        """Its own member list."""
        return {row["Node"]: row["Running"] for row in self.api("cluster/show")["table"]}


def start_all(nodes: Iterable[Node]) -> None:
    """Start nodes at the same time, and wait for all of them."""
    begun = tuple(nodes)
    for node in begun:
        node.begin()
    for node in begun:
        node.wait()


def eventually(predicate: Callable[[], Any], within: float = 10.0) -> Any:
    """Wait for a predicate; the only place that sleeps."""
    deadline = time.monotonic() + within
    last: Any = None
    while time.monotonic() < deadline:
        try:
            last = predicate()
        except (OSError, AssertionError, ValueError) as error:
            last = error
        else:
            if last:
                return last
        time.sleep(0.05)
    raise AssertionError(f"not within {within} s; last: {last!r}")


def connect_packet(level: int, client_id: str, properties: bytes = b"") -> bytes:
    """CONNECT by hand (MQTT 3.1.1, section 3.1); the properties, encoded, are for level 5."""

    def text(value: str) -> bytes:
        return struct.pack("!H", len(value)) + value.encode()

    more = bytes([len(properties)]) + properties if level == 5 else b""
    body = (text("MQTT") + bytes([level, 0x82]) + struct.pack("!H", 60) + more
            + text(client_id) + text("user"))  # fmt: skip
    return bytes([0x10, len(body)]) + body


def connack(
    address: str,
    level: int,
    client_id: str,
    wait: float = 8.0,
    *,
    port: int = 1883,
    before: bytes = b"",
) -> int | None:
    """The code of the CONNACK that a CONNECT gets, None for a reset.

    Args:
        address: Of the node.
        level: Protocol level.
        client_id: Client id.
        wait: Longest time for the answer (seconds).
        port: Of the listener.
        before: What a load balancer sends first.
    """
    answer = reply((address, port), before + connect_packet(level, client_id), wait)
    return answer[3] if answer else None


def reply(where: tuple[str, int], sent: bytes, wait: float = 8.0) -> bytes | None:
    """What a node answers to the first bytes of a connection, None for a reset.

    Args:
        where: Its listener.
        sent: The bytes.
        wait: Longest time for the answer (seconds).
    """
    with socket.create_connection(where, timeout=wait) as wire:
        wire.sendall(sent)
        try:
            return wire.recv(64)
        except ConnectionResetError:
            return None
