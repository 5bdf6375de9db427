"""Two nodes and their webhook endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.broker.hookserver import HookServer
from tests.contract.broker.node import Node, start_all


@pytest.fixture
def hooks() -> Iterator[HookServer]:
    """An endpoint of the test's own."""
    server = HookServer()
    yield server
    server.close()


@pytest.fixture
def node(tmp_path: Path, hooks: HookServer) -> Iterator[Node]:
    """A lone node."""
    lone = Node("127.0.77.1", tmp_path / "a", hooks.url)
    lone.start()
    yield lone
    if not lone.exited():
        lone.stop()


@pytest.fixture
def pair(tmp_path: Path, hooks: HookServer) -> Iterator[tuple[Node, Node]]:
    """Two nodes, not joined."""
    nodes = (
        Node("127.0.77.1", tmp_path / "a", hooks.url),
        Node("127.0.77.2", tmp_path / "b", hooks.url),
    )
    start_all(nodes)
    yield nodes
    for each in nodes:
        if not each.exited():
            each.stop()
