"""The world that the gateway's integration tests live in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gateway.broker import Broker
from tests.integration.gateway.presence import PresenceServer
from tests.integration.gateway.subscriber import Subscriber
from tests.integration.gateway.world import World, running_gateway, write_config
from tests.integration.webhook.world import JwksServer, Keys


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One gateway and broker for many tests: they break nothing."""
    folder = tmp_path_factory.mktemp("gateway")
    yield from make_world(folder, Broker(folder))


@pytest.fixture
def own_world(tmp_path: Path) -> Iterator[World]:
    """A gateway and broker for a test that breaks something."""
    yield from make_world(tmp_path, Broker(tmp_path))


@pytest.fixture
def subscriber(world: World) -> Iterator[Subscriber]:
    """Who receives what the shared world's gateway publishes."""
    made = Subscriber(world.broker.port)
    yield made
    made.stop()


def make_world(
    folder: Path, broker: Broker, bounds: dict[str, Any] | None = None
) -> Iterator[World]:
    """Start everything, and end it."""
    cluster = Keys("cluster-1")
    jwks = JwksServer({"/cluster": cluster.document})
    broker.start()
    try:
        with jwks.running(), PresenceServer().running() as presence:
            config = write_config(folder, jwks, broker.port, cluster, presence.url, bounds)
            with running_gateway(folder, config) as gateway:
                yield World(folder, cluster, jwks, broker, gateway, presence)
    finally:
        broker.stop()
