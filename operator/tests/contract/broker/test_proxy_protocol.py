"""The PROXY protocol as recorded (`listeners.json`): the hooks get the client's real address."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.broker.hookserver import HookServer
from tests.contract.broker.node import Node, connack

_ADDRESS, _PORT = "127.0.77.1", 1884
_V1 = b"PROXY TCP4 203.0.113.7 192.0.2.1 40001 1884\r\n"
_V2 = (
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11"
    + struct.pack("!H", 12)
    + socket.inet_aton("203.0.113.9")
    + socket.inet_aton("192.0.2.1")
    + struct.pack("!HH", 50001, 1884)
)


@pytest.fixture
def behind_a_proxy(tmp_path: Path, hooks: HookServer) -> Iterator[Node]:
    """A node with a listener as the operator renders it."""
    listener = f"listener.tcp.proxied = {_ADDRESS}:{_PORT}"
    options = ("proxy_protocol = on", "proxy_protocol_use_cn_as_username = off")
    extra = [listener, *(f"listener.tcp.proxied.{option}" for option in options)]
    node = Node(_ADDRESS, tmp_path / "a", hooks.url, extra=extra)
    node.start()
    yield node
    node.stop()


@pytest.mark.parametrize(
    ("client", "header", "peer"),
    [("pp1", _V1, ("203.0.113.7", 40001)), ("pp2", _V2, ("203.0.113.9", 50001))],
)
def test_the_hooks_get_the_clients_address(
    behind_a_proxy: Node, hooks: HookServer, client: str, header: bytes, peer: tuple[str, int]
) -> None:
    assert connack(behind_a_proxy.address, 4, client, port=_PORT, before=header) == 0
    body = next(a.body for a in hooks.asked if a.hook == "auth_on_register")
    assert (body["peer_addr"], body["peer_port"]) == peer


def test_without_the_header_the_connection_is_reset(
    behind_a_proxy: Node, hooks: HookServer
) -> None:
    assert connack(behind_a_proxy.address, 4, "bare", port=_PORT) is None
    assert not hooks.asked
