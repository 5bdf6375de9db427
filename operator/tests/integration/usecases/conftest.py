"""A gateway whose callers are the use cases' backends, a broker, and an object store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from e2e.kit import objectstore
from e2e.kit.objectstore import ObjectStore
from e2e.usecases.device import Backoff, Device, Link
from liveconnect.client import Client, Endpoints, ProjectedToken
from tests.integration.gateway.broker import Broker
from tests.integration.gateway.conftest import make_world
from tests.integration.gateway.world import World
from tests.integration.webhook.world import BACKEND, eventually

MakeDevice = Callable[[str], Device]

_CALLER = {
    "subject": BACKEND,
    "publish": ["orders/#", "groups/doctors/inbox", "clients/+/inbox", "clients/+/requests/#"],
}


class Counting(httpx.BaseTransport):
    """HTTP that counts what it sends."""

    def __init__(self) -> None:
        self.calls = 0
        self._real = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        return self._real.handle_request(request)

    def close(self) -> None:
        self._real.close()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("usecases")
    yield from make_world(folder, Broker(folder), {"callers": [_CALLER]})


@pytest.fixture
def http() -> Counting:
    return Counting()


@pytest.fixture
def liveconnect(world: World, http: Counting, tmp_path: Path) -> Iterator[Client]:
    token = tmp_path / "callers-token"
    token.write_text(world.token())
    endpoints = Endpoints(f"http://127.0.0.1:{world.gateway.port}", world.presence.url)
    with Client(endpoints, token=ProjectedToken(token), transport=http) as client:
        yield client


@pytest.fixture
def device(world: World) -> Iterator[MakeDevice]:
    """Makes devices that come back quickly, and stops them."""
    made: list[Device] = []

    def make(client_id: str) -> Device:
        link = Link("127.0.0.1", world.broker.port, backoff=Backoff(0.05, 0.2))
        made.append(Device(client_id, lambda: "a-token", link))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with objectstore.running(tmp_path_factory.mktemp("store")) as made:
        made.client().make_bucket("logs")
        yield made


def start(*devices: Device) -> None:
    """Start devices, and wait until they listen."""
    for one in devices:
        one.start()
    eventually(lambda: all(one.listening for one in devices))
