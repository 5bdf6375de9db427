"""What a user asks for by annotation."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hack.golden import SAMPLES, rendered, sample_cluster
from liveconnect.api.v1alpha1.cluster import RECONCILE_ANNOTATION, RESTART_ANNOTATION
from liveconnect.controller.model.actions import Apply
from liveconnect.controller.model.manifest import HASH_ANNOTATION, Manifest
from tests.unit.planner.simulation import World, parse


def with_annotation(key: str, value: str) -> tuple[Manifest, ...]:
    cluster = sample_cluster(SAMPLES / "quickstart.yaml")
    return rendered(cluster.model_copy(update={"annotations": {key: value}}))


def templates(manifests: tuple[Manifest, ...]) -> dict[str, Manifest]:
    return {
        m["metadata"]["name"]: m["spec"]["template"]["metadata"]["annotations"]
        for m in manifests
        if "template" in m.get("spec", {})
    }


def test_a_restart_changes_every_pod_template_and_nothing_else() -> None:
    before = with_annotation("other", "1")
    after = with_annotation(RESTART_ANNOTATION, "2026-11-24T04:00:00Z")
    assert {a[RESTART_ANNOTATION] for a in templates(after).values()} == {"2026-11-24T04:00:00Z"}
    assert len(templates(after)) == 5
    changed = {
        new["metadata"]["name"]
        for old, new in zip(before, after, strict=True)
        if old["metadata"]["annotations"][HASH_ANNOTATION]
        != new["metadata"]["annotations"][HASH_ANNOTATION]
    }
    assert changed == templates(after).keys()


@settings(deadline=None, max_examples=20)
@given(st.text(min_size=1))
def test_whatever_a_restart_is_asked_for_with_stays_small(asked: str) -> None:
    for stated in templates(with_annotation(RESTART_ANNOTATION, asked * 300)).values():
        assert 0 < len(stated[RESTART_ANNOTATION]) <= 256


def test_a_forced_pass_applies_everything_once_and_says_that_it_did() -> None:
    world = World(parse({"replicas": 2}))
    world.settle()
    assert not world.step().actions
    annotations = {RECONCILE_ANNOTATION: "now"}
    world.cluster = world.cluster.model_copy(update={"annotations": annotations})
    forced = world.step().actions
    assert len(forced) == len(world.children)
    assert all(isinstance(a, Apply) and RECONCILE_ANNOTATION in a.why for a in forced)
    # Until the reconciler has executed it whole, it is due again.
    assert world.step().actions
    world.memory = type(world.memory)(**{**vars(world.memory), "reconciled": "now"})
    assert not world.step().actions
    assert world.status["reconciled"] == "now"
    # Another process remembers nothing, and does not take back what was said.
    world.memory = type(world.memory)()
    world.step()
    assert world.status["reconciled"] == "now"
