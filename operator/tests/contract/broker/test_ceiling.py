"""A listener's ceiling as recorded (`listeners.json`): `max_connections` for each acceptor."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.contract.broker.hookserver import HookServer
from tests.contract.broker.node import Node, connect_packet, eventually

_ADDRESS, _PORT = "127.0.77.1", 1884
_MOMENT_SECONDS = 0.05


@contextlib.contextmanager
def _node(folder: Path, hooks: HookServer, *options: str, kind: str = "tcp") -> Iterator[Node]:
    """A node with a second listener."""
    listener = f"listener.{kind}.few"
    own = [f"{listener}.{option}" for option in options if not option.startswith("listener.")]
    common = [option for option in options if option.startswith("listener.")]
    extra = [f"{listener} = {_ADDRESS}:{_PORT}", *own, *common]
    node = Node(_ADDRESS, folder / "a", hooks.url, extra=extra)
    node.start()
    try:
        yield node
    finally:
        node.stop()


class _Client:
    """Connects, and stays."""

    def __init__(self, stack: contextlib.ExitStack, name: str) -> None:
        self.wire = stack.enter_context(socket.create_connection((_ADDRESS, _PORT), timeout=5))
        self.wire.settimeout(_MOMENT_SECONDS)
        self.wire.sendall(connect_packet(4, name))
        self.let_in = False

    def look(self) -> bool:
        """Whether it is let in by now."""
        if not self.let_in:
            with contextlib.suppress(TimeoutError):
                self.let_in = self.wire.recv(4)[3:] == b"\0"
        return self.let_in


def _inside(clients: Sequence[_Client]) -> int:
    return sum(client.look() for client in clients)


def _held(node: Node) -> int:
    rows = node.api("listener/show")["table"]
    return next(int(row["active_conns"]) for row in rows if row["port"] == str(_PORT))


@pytest.mark.parametrize(
    ("options", "ceiling"),
    [
        (["max_connections = 2"], 20),
        (["max_connections = 2", "nr_of_acceptors = 3"], 6),
        (["max_connections = 1", "nr_of_acceptors = 4", "listener.max_connections = 9"], 4),
        (["listener.max_connections = 3", "listener.nr_of_acceptors = 2"], 6),
    ],
)
def test_no_more_are_let_in_than_the_acceptors_hold(
    tmp_path: Path, hooks: HookServer, options: list[str], ceiling: int
) -> None:
    with _node(tmp_path, hooks, *options) as node, contextlib.ExitStack() as stack:
        clients = [_Client(stack, f"c{number}") for number in range(ceiling + 3)]
        eventually(lambda: _inside(clients) == ceiling)
        assert _inside(clients) == ceiling
        assert _held(node) == ceiling
        waiting = [client for client in clients if not client.let_in]
        gone = [client for client in clients if client.let_in][:2]
        for client in gone:
            client.wire.close()
        eventually(lambda: _inside(waiting) == len(gone))
        assert _inside(waiting) == len(gone)


def test_who_is_refused_makes_room(tmp_path: Path, hooks: HookServer) -> None:
    options = ("max_connections = 1", "nr_of_acceptors = 1")
    with _node(tmp_path, hooks, *options), contextlib.ExitStack() as stack:
        bad = stack.enter_context(socket.create_connection((_ADDRESS, _PORT), timeout=5))
        bad.sendall(b"GET / HTTP/1.1\r\n\r\n")
        good = _Client(stack, "good")
        eventually(good.look)


def test_it_is_shown_as_it_is_configured(tmp_path: Path, hooks: HookServer) -> None:
    """By the acceptor, as VerneMQ shows 10000 by default and holds 100000."""
    with _node(tmp_path, hooks, "max_connections = 7", "nr_of_acceptors = 3") as node:
        rows = {row["port"]: row["max_conns"] for row in node.api("listener/show")["table"]}
    assert (rows[str(_PORT)], rows["1883"]) == (7, 10_000)
