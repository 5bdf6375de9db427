"""Which tests may run beside which."""

from __future__ import annotations

import pytest

from hack import lanes

_CONTROLLER = "operator/tests/integration/controller"


@pytest.mark.parametrize(
    ("path", "in_pods"),
    [
        ("e2e/scenarios/test_story.py", True),
        ("e2e/scenarios/test_network.py", True),
        ("e2e/scenarios/test_of_tomorrow.py", True),
        ("e2e/kit/tests/test_eventually.py", False),
        (f"{_CONTROLLER}/test_bad_input.py", False),
        ("operator/tests/unit/planner/test_plan.py", False),
    ],
)
def test_what_needs_pods_that_run(path: str, *, in_pods: bool) -> None:
    assert lanes.in_pods(lanes.lane(f"{path}::test_it[a::b]")) is in_pods


def test_a_file_is_in_one_lane_and_long_ones_begin_first() -> None:
    wrong, others = f"{_CONTROLLER}/test_bad_input.py::a", f"{_CONTROLLER}/test_rolls.py::a"
    assert lanes.lane(wrong) != lanes.lane(others)
    assert lanes.rank(wrong) < lanes.rank(others) < lanes.rank("operator/tests/unit/x.py::a")
