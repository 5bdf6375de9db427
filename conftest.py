"""How tests are shared out when several workers run them (`make test`)."""

from __future__ import annotations

import os
from typing import Any

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from hack import lanes

_NICENESS = 10


class LaneScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """A worker does a lane at a time, in order; patient ones leave the scenarios to others."""

    def _split_scope(self, nodeid: str) -> str:
        return lanes.lane(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if _is_patient(node.workerinput):
            own = next((lane for lane in self.workqueue if not lanes.in_pods(lane)), None)
            if own is None:
                node.shutdown()
                return
            self.workqueue.move_to_end(own, last=False)
        super()._assign_work_unit(node)


def _is_patient(worker: dict[str, Any]) -> bool:
    """It is none of the first two, which may work in pods: those of more would not be in time."""
    return worker["workerid"] not in {"gw0", "gw1"}


def pytest_configure(config: pytest.Config) -> None:
    """Patient workers take what the others leave of the processors."""
    worker = getattr(config, "workerinput", None)
    if worker is None or not _is_patient(worker):
        return
    os.nice(_NICENESS)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LaneScheduling:
    """Share out lanes, whatever `--dist` says."""
    return LaneScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest lanes first; one process alone keeps its order."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: lanes.rank(item.nodeid))
