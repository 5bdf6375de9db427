"""The story that the demo plays too, in both protocol versions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.kit.cluster import Cluster, Manifest
from e2e.kit.issuer import Issuer
from e2e.kit.phone import Version
from e2e.kit.story import STEPS, Stage, Step

pytestmark = pytest.mark.e2e


class _Told:
    """A stage, and the step at which the story broke."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.broken = ""


@pytest.fixture(scope="module", params=list(Version), ids=lambda v: f"mqtt-{v.value}")
def told(
    request: pytest.FixtureRequest, cluster: Cluster, issuer: Issuer, quickstart: Manifest
) -> Iterator[_Told]:
    name = quickstart["metadata"]["name"]
    stage = Stage(cluster, issuer, version=request.param, name=name)
    yield _Told(stage)
    stage.close()


@pytest.mark.parametrize("step", STEPS, ids=lambda s: s.name)
def test_story(told: _Told, step: Step) -> None:
    if told.broken:
        pytest.skip(f"the story broke at {told.broken!r}")
    told.broken = step.name
    seen = step.play(told.stage)
    told.broken = ""
    print(f"{step.title}: {seen}")
