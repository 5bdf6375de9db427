"""The networks that are made bad are bad, and leave nothing behind."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.kit import slowlink
from e2e.kit.badnetwork import BadNetwork, BadNetworkError, Carried, Road, Toxic
from e2e.kit.eventually import eventually
from e2e.kit.phone import Address
from e2e.kit.slowlink import SlowLink, Speed

_SIZE = 20_000


@pytest.fixture
def echo() -> Iterator[Address]:
    """A server that sends everything back, connection by connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=_echo, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield Address(*server.getsockname())
        server.shutdown(socket.SHUT_RDWR)


def _echo(connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        while content := connection.recv(4096):
            connection.sendall(content)


@pytest.fixture
def network(toxiproxy: Path, tmp_path: Path) -> Iterator[BadNetwork]:
    with BadNetwork(toxiproxy, tmp_path / "toxiproxy.log") as made:
        yield made


@pytest.fixture
def road(network: BadNetwork, echo: Address) -> Road:
    return network.road(echo)


def _exchange(address: Address, size: int = _SIZE) -> float:
    """Send and get so many bytes; the seconds that it took."""
    began, got = time.monotonic(), 0
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(b"x" * size)
        while got < size:
            content = connection.recv(4096)
            assert content, f"ended after {got} bytes"
            got += len(content)
    return time.monotonic() - began


def test_bytes_are_counted_each_way(road: Road) -> None:
    _exchange(road.address)
    assert road.carried() == Carried(_SIZE, _SIZE)


def test_a_slow_road_is_slow_until_it_is_healed(road: Road) -> None:
    road.spoil(
        Toxic("bandwidth", {"rate": 20}, ("downstream",)), Toxic("latency", {"latency": 100})
    )
    assert _exchange(road.address) > 1
    road.heal()
    assert _exchange(road.address) < 1


def test_a_closed_road_ends_connections_and_takes_none(road: Road) -> None:
    with socket.create_connection(road.address, timeout=5) as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        road.close()
        assert connection.recv(1) == b""
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(road.address, timeout=5)
    road.open()
    _exchange(road.address)


def test_what_toxiproxy_does_not_know_is_said(road: Road) -> None:
    with pytest.raises(BadNetworkError, match="invalid toxic type"):
        road.spoil(Toxic("plague", {}))


def test_a_slow_cable_loses_packets_and_goes_with_its_block(
    network: BadNetwork, echo: Address, toxiproxy: Path, tmp_path: Path
) -> None:
    reason = slowlink.why_not()
    if reason:
        pytest.skip(reason)
    speed = Speed(up=400_000, down=160_000, queue_bytes=8_000)
    with SlowLink(network, toxiproxy, tmp_path / "far.log", speed) as cable:
        assert _exchange(cable.road(echo).address) > 0.5
        wire = cable.wire()
        assert wire.up_bytes > _SIZE
        assert wire.down_bytes > _SIZE
    assert "lc-slow" not in _said("ip", "netns", "list")
    eventually(lambda: "lc-slow0" not in _said("ip", "link"), within=10, what="the cable's end")


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
