"""The world that the auth service's integration tests live in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.webhook.world import (
    JwksServer,
    Keys,
    Redis,
    World,
    running_service,
    write_config,
)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One auth service for many tests: they use client ids of their own."""
    yield from make_world(tmp_path_factory.mktemp("webhook"))


@pytest.fixture
def own_world(tmp_path: Path) -> Iterator[World]:
    """An auth service for a test that breaks something."""
    yield from make_world(tmp_path)


def make_world(folder: Path, **changes: Any) -> Iterator[World]:
    """Start everything, and end it; `changes` are the configuration's."""
    issuer, cluster, redis = Keys("device-1"), Keys("cluster-1"), Redis(folder)
    jwks = JwksServer({"/devices": issuer.document, "/cluster": cluster.document})
    redis.start()
    try:
        with jwks.running():
            config = write_config(folder, jwks, redis, cluster, **changes)
            with running_service(folder, config) as service:
                yield World(folder, issuer, cluster, jwks, redis, service)
    finally:
        redis.stop()
