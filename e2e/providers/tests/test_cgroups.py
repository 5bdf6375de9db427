"""What pods weigh against everything else on the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from e2e.providers.local import cgroups

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="cgroups are root's")
_NAME = "lc-weight-test"


@pytest.fixture
def made() -> Iterator[str]:
    cgroups.make(_NAME)
    yield _NAME
    cgroups.remove(_NAME)


def test_all_pods_weigh_more_than_one_process(made: str) -> None:
    files = [g / f for g in cgroups.groups(made) for f in ("cpu.shares", "cpu.weight")]
    weights = {f.read_text().strip() for f in files if f.exists()}
    assert weights <= {"8192", "800"}
    assert weights
