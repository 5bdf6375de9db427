"""A client of either kind and a server that does as it is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from liveconnect.client import AsyncClient, Client, Endpoints, Patience, ProjectedToken
from tests.unit.client.either import BOTH, Either, either
from tests.unit.client.server import Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server().running() as running:
        yield running


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("first-token\n")
    return path


@pytest.fixture(params=BOTH, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type[Client | AsyncClient]:
    chosen: type[Client | AsyncClient] = request.param
    return chosen


@pytest.fixture
def liveconnect(kind: type[Client | AsyncClient], server: Server, token: Path) -> Iterator[Either]:
    quick = Patience(tries=4, within_seconds=1.5, first_seconds=0.001)
    with either(kind, Endpoints(server.url, server.url), ProjectedToken(token), quick) as made:
        yield made
