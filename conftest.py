"""How tests are shared out when several workers run them (`make test`)."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from hack import lanes


class LaneScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """A worker does a lane at a time, in order."""

    def _split_scope(self, nodeid: str) -> str:
        return lanes.lane(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LaneScheduling:
    """Share out lanes, whatever `--dist` says."""
    return LaneScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest lanes first; one process alone keeps its order."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: lanes.rank(item.nodeid))
