"""A pass at rest costs little, and overlooks nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveconnect.controller.model.actions import Apply, Delete
from liveconnect.controller.model.manifest import Manifest, ObjectKey
from liveconnect.controller.model.marks import mark
from liveconnect.controller.planner import plan as planning
from tests.unit.planner.simulation import World, parse


def at_rest() -> World:
    world = World(parse({"replicas": 2}))
    world.settle()
    world.step()
    return world


def test_nothing_is_rendered_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    world = at_rest()

    def refuse(*_: Any) -> None:
        raise AssertionError("rendered")

    monkeypatch.setattr(planning, "render", refuse)
    assert not world.step().actions
    world.cluster = parse({"replicas": 3}, generation=2)
    with pytest.raises(AssertionError, match="rendered"):
        world.step()


def edited(child: Manifest, how: str) -> Manifest:
    """As the API server would have it after somebody's edit."""
    meta = {**child["metadata"]}
    if how == "spec" and "spec" in child:
        return {**child, "metadata": {**meta, "generation": meta.get("generation", 0) + 1}}
    if how == "owner":
        return {**child, "metadata": {**meta, "ownerReferences": []}}
    field = "annotations" if how == "annotation" else "labels"
    first = min(meta[field])
    return {**child, "metadata": {**meta, field: {**meta[field], first: "somebody's"}}}


@settings(max_examples=25, deadline=None)
@given(st.data(), st.sampled_from(["spec", "label", "annotation", "owner", "gone"]))
def test_whatever_is_edited_is_noticed(data: st.DataObject, how: str) -> None:
    world = at_rest()
    key = data.draw(st.sampled_from(sorted(world.children)))
    child = world.children.pop(key)
    if how != "gone":
        world.children[key] = edited(child, how)
    if how == "spec" and "spec" not in child:
        return
    applied = [ObjectKey.of(a.manifest) for a in world.step().actions if isinstance(a, Apply)]
    assert applied == [key]
    world.step()
    assert not world.step().actions


def test_a_child_that_is_not_wanted_is_noticed() -> None:
    world = at_rest()
    key = ObjectKey("v1", "ConfigMap", "ns", "demo-old")
    stray = {**next(c for k, c in world.children.items() if k.kind == "ConfigMap")}
    world.children[key] = {**stray, "metadata": {**stray["metadata"], "name": key.name}}
    assert [a.key for a in world.step().actions if isinstance(a, Delete)] == [key]


def test_the_work_of_kubernetes_own_controllers_changes_no_mark() -> None:
    child: Manifest = {
        "metadata": {"uid": "u", "generation": 2, "annotations": {"a": "1"}},
        "status": {"readyReplicas": 1},
    }
    noted = {"a": "1", "deployment.kubernetes.io/revision": "7"}
    rolled = {**child, "metadata": {**child["metadata"], "annotations": noted}, "status": {}}
    assert mark(rolled) == mark(child)
    config: Manifest = {"metadata": {"uid": "u", "resourceVersion": "1"}, "data": {}}
    assert mark(config) != mark({**config, "metadata": {"uid": "u", "resourceVersion": "2"}})
