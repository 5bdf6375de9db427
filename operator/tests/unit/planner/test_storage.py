"""Volumes in a simulated world: they grow, and outlive their nodes without haunting anybody."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.actions import Action, Apply, Delete, JoinNode, Patch, SetOptions
from liveconnect.controller.model.manifest import Manifest, ObjectKey
from liveconnect.controller.model.names import LIFE_ANNOTATION, RETIRED_ANNOTATION
from liveconnect.controller.model.observed import Observed, Pool, VolumeView
from liveconnect.controller.model.quantity import quantity
from tests.unit.planner.simulation import Disk, World

KEPT = {"retention": {"whenScaled": "Retain"}}


def parse(
    storage: dict[str, Any], subscribers: int = 2, publishers: int = 2, generation: int = 1
) -> Cluster:
    jwt = {"issuer": "i", "audiences": ["a"], "jwksURI": "https://i/jwks"}
    spec = {
        "broker": {"image": "broker:test"},
        "publishers": {"replicas": publishers},
        "subscribers": {"replicas": subscribers, "storage": storage},
        "presence": {"store": {"external": {"urlSecretRef": {"name": "s", "key": "k"}}}},
        "auth": {"tokens": [{"jwt": jwt}]},
    }
    meta = {"name": "demo", "namespace": "ns", "uid": "u", "generation": generation}
    return Cluster.parse({"metadata": meta, "spec": spec})


@dataclass
class Volumes(World):
    """A world whose claims are objects: sizes, marks, a driver that resizes."""

    volumes: dict[str, VolumeView] = field(default_factory=dict)
    expandable: bool | None = True
    made: int = 0
    set_aside: dict[str, list[str]] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    started: set[str] = field(default_factory=set)
    orphaned: dict[str, int] = field(default_factory=dict)

    def wanted(self) -> list[str]:
        missing = [
            self.names.pod(pool, ordinal)
            for pool in Pool
            for ordinal in range(self.orphaned.get(self.names.pool(pool), 0))
        ]
        return [*super().wanted(), *missing]

    def observe(self) -> Observed:
        seen = super().observe()
        classes = {"fast": self.expandable}
        return replace(seen, volumes=dict(self.volumes), storage_classes=classes)

    def act(self, action: Action) -> None:
        super().act(action)
        match action:
            case Patch(key, uid, body, _):
                volume = self.volumes[key.name]
                assert volume.uid == uid
                self.volumes[key.name] = self._patched(volume, body)
            case Delete(key, _, _, orphan=True):
                self.orphaned[key.name] = self.before[key.name]
            case Delete(key, _, _) if key.kind == "PersistentVolumeClaim":
                self.volumes.pop(key.name)
            case Delete(key, _, _) if key.kind == "Pod":
                self.restarts[key.name] = self.restarts.get(key.name, 0) + 1
                self.started.discard(key.name)
            case Apply(manifest, _) if manifest["kind"] == "StatefulSet":
                self._adopt(manifest)
            case _:
                pass

    @property
    def before(self) -> dict[str, int]:
        """Pods of every pool, with or without its StatefulSet."""
        return {
            self.names.pool(pool): sum(
                1 for pod in self.started if pod.rpartition("-")[0] == self.names.pool(pool)
            )
            for pool in Pool
        }

    def _adopt(self, manifest: Manifest) -> None:
        name = manifest["metadata"]["name"]
        orphaned = self.orphaned.pop(name, None)
        if orphaned is not None:
            assert manifest["spec"]["replicas"] == orphaned, "a pod is gone without having left"

    def _patched(self, volume: VolumeView, body: Manifest) -> VolumeView:
        size = body.get("spec", {}).get("resources", {}).get("requests", {}).get("storage")
        if size:
            assert self.expandable, "the API server refuses"
            assert quantity(size) > quantity(volume.requested), "the API server refuses"
            volume = replace(volume, requested=size)
        marks = body.get("metadata", {}).get("annotations", {})
        if RETIRED_ANNOTATION in marks:
            volume = replace(volume, retired=marks[RETIRED_ANNOTATION] is not None)
        return replace(volume, life=marks.get(LIFE_ANNOTATION, volume.life))

    def live(self) -> None:
        for pod in sorted(set(self.wanted()) - self.started):
            self.start(pod)
        self.started &= set(self.wanted())
        super().live()
        for name, volume in self.volumes.items():  # the driver
            self.volumes[name] = replace(volume, capacity=volume.requested)

    def start(self, pod: str) -> None:
        """What a StatefulSet and `start.sh` do for a pod."""
        claim, pool = self.names.claim(pod), pod.rpartition("-")[0]
        if claim not in self.volumes:
            self.made += 1
            size = self.template(pool)
            uid = f"{self.made:08d}-uid"
            self.volumes[claim] = VolumeView(
                name=claim, uid=uid, requested=size, storage_class="fast"
            )
            self.disks.pop(pod, None)
        config = self.children[ObjectKey("v1", "ConfigMap", "ns", pool)]["data"]["lives"]
        life = dict(line.split() for line in config.splitlines()).get(pod)
        aside = self.set_aside.setdefault(self.volumes[claim].uid, [])
        if life and life not in aside:
            aside.append(life)
            self.disks[pod] = Disk({self.names.node(pod)})
        self.started.add(pod)

    def template(self, name: str) -> str:
        child = self.children[ObjectKey("apps/v1", "StatefulSet", "ns", name)]
        claim = child["spec"]["volumeClaimTemplates"][0]
        return str(claim["spec"]["resources"]["requests"]["storage"])

    def rest(self, within: int = 120) -> None:
        """Run until two passes in a row have nothing to do."""
        idle = 0
        for _ in range(within):
            self.step()
            idle = idle + 1 if self.settled() else 0
            if idle == 2:
                return
        raise AssertionError(f"not at rest: {self.log[-8:]}")

    def condition(self, kind: str) -> dict[str, str]:
        found: dict[str, str] = next(c for c in self.status["conditions"] if c["type"] == kind)
        return found


def settled(storage: dict[str, Any], subscribers: int = 2, publishers: int = 2) -> Volumes:
    world = Volumes(parse(storage, subscribers, publishers))
    world.settle()
    world.step()
    world.log.clear()
    return world


def kinds(world: World) -> list[str]:
    return [type(a).__name__ for a in world.log if not isinstance(a, Apply | SetOptions)]


def resized(world: World) -> list[str]:
    return [a.key.name for a in world.log if isinstance(a, Patch) and "spec" in a.body]


def test_claims_grow_first_then_the_stateful_set_is_made_anew_around_its_pods() -> None:
    world = settled({})
    world.cluster = parse({"size": "3Gi"}, generation=2)
    world.settle()
    assert kinds(world) == ["Patch", "Patch", "Delete"]
    assert resized(world) == ["data-demo-subscriber-0", "data-demo-subscriber-1"]
    assert world.template("demo-subscriber") == "3Gi"
    assert world.template("demo-publisher") == "1Gi"
    assert not world.restarts
    world.step()
    assert world.condition("StorageReady")["status"] == "True"
    assert not world.step().actions


def test_the_same_size_in_other_words_changes_nothing() -> None:
    world = settled({"size": "1Gi"})
    world.cluster = parse({"size": "1024Mi"}, generation=2)
    world.settle()
    assert not kinds(world)


def test_it_goes_on_from_every_step_after_the_operator_died() -> None:
    world = settled({}, subscribers=3)
    world.cluster = parse({"size": "3Gi"}, subscribers=3, generation=2)
    for _ in range(12):
        world.memory = type(world.memory)()
        world.step()
    assert world.template("demo-subscriber") == "3Gi"
    assert world.replicas(Pool.SUBSCRIBER) == 3
    assert kinds(world).count("Delete") == 1


@pytest.mark.parametrize("subscribers", [1, 4])
def test_a_size_and_a_number_changed_together(subscribers: int) -> None:
    """The StatefulSet that is made anew has the pods that there are; then nodes join or leave."""
    world = settled({}, subscribers=3)
    world.cluster = parse({"size": "3Gi"}, subscribers=subscribers, generation=2)
    world.rest()
    assert world.replicas(Pool.SUBSCRIBER) == subscribers
    assert world.template("demo-subscriber") == "3Gi"
    assert {v.requested for n, v in world.volumes.items() if "subscriber" in n} == {"3Gi"}


@pytest.mark.parametrize(("expandable", "words"), [(False, "allowVolumeExpansion: true")])
def test_growth_that_the_class_refuses_is_said_and_nothing_is_touched(
    expandable: bool, words: str
) -> None:
    world = settled({})
    world.expandable = expandable
    world.cluster = parse({"size": "3Gi"}, generation=2)
    for _ in range(5):
        world.step()
    assert not world.log
    for kind in ("StorageReady", "Ready"):
        assert world.condition(kind)["status"] == "False"
        assert "spec.subscribers.storage.size" in world.condition(kind)["message"]
        assert words in world.condition(kind)["message"]
    world.expandable = True
    world.settle()
    assert resized(world)


def test_a_volume_of_a_missing_class_is_said() -> None:
    world = settled({})
    name = "data-demo-subscriber-1"
    world.volumes[name] = replace(world.volumes[name], capacity="", storage_class="fast")
    world.expandable = None
    world.step()
    assert "there is no StorageClass fast" in world.condition("StorageReady")["message"]
    world.volumes[name] = replace(world.volumes[name], capacity="", storage_class=None)
    world.step()
    assert "no default StorageClass" in world.condition("StorageReady")["message"]


def test_a_leave_is_not_forgotten_while_volumes_grow() -> None:
    world = settled({}, subscribers=3)
    world.cluster = parse({}, subscribers=2, generation=2)
    world.step()  # the leave is written down on the StatefulSet
    world.cluster = parse({"size": "3Gi"}, subscribers=2, generation=3)
    world.rest()
    order = [n for n in kinds(world) if n in {"EvacuateNode", "Delete"}]
    assert order[0] == "EvacuateNode"
    assert world.template("demo-subscriber") == "3Gi"
    assert world.replicas(Pool.SUBSCRIBER) == 2


def test_a_kept_volume_is_retired_and_its_next_node_begins_empty() -> None:
    world = settled(KEPT, subscribers=3)
    world.cluster = parse(KEPT, subscribers=2, generation=2)
    world.rest()
    claim = world.volumes["data-demo-subscriber-2"]
    assert claim.retired
    assert claim.life == f"{claim.uid[:8]}-1"
    assert "Delete" not in kinds(world)
    world.log.clear()
    world.cluster = parse(KEPT, subscribers=3, generation=3)
    world.settle()  # the simulation asserts that only empty nodes join
    assert [a.pod for a in world.log if isinstance(a, JoinNode)] == ["demo-subscriber-2"]
    world.step()
    assert not world.volumes["data-demo-subscriber-2"].retired
    assert world.set_aside[claim.uid] == [claim.life]
    assert not world.step().actions


def test_every_life_has_a_name_of_its_own() -> None:
    world = settled(KEPT, subscribers=3)
    for generation in range(2, 8):
        world.cluster = parse(KEPT, subscribers=2 + generation % 2, generation=generation)
        world.rest()
    claim = world.volumes["data-demo-subscriber-2"]
    assert world.set_aside[claim.uid] == [f"{claim.uid[:8]}-{n}" for n in (1, 2, 3)]


def test_another_lifes_state_is_set_aside_and_the_pod_restarts_once() -> None:
    world = settled(KEPT)
    pod = "demo-subscriber-1"
    world.drop(world.names.node(pod))  # forgotten while it was dead; it still lists everybody
    world.settle()
    world.step()
    assert kinds(world) == ["Patch", "Delete", "JoinNode", "Patch"]
    assert world.restarts == {pod: 1}
    assert pod in world.disks


def test_pods_that_are_deleted_for_other_reasons_are_deleted() -> None:
    from liveconnect.controller.planner.storage import retained  # noqa: PLC0415

    world = settled(KEPT)
    restart = Delete(ObjectKey("v1", "Pod", "ns", "demo-subscriber-1"), "uid", "a roll")
    assert retained(world.cluster, world.names, world.observe(), [restart]) == (restart,)


def test_volumes_that_outlived_their_object_come_back_as_they_were() -> None:
    """`whenDeleted: Retain`, and an object of the same name: its members are not made fewer."""
    world = settled({}, subscribers=3)
    world.children.clear()
    world.generations.clear()
    world.memory = type(world.memory)()
    world.status = {}
    world.started.clear()
    world.running.clear()
    world.cluster = parse({}, subscribers=2, generation=1)
    world.step()
    assert world.replicas(Pool.SUBSCRIBER) == 3
    world.rest()
    assert world.replicas(Pool.SUBSCRIBER) == 2
    assert "EvacuateNode" in kinds(world)


EVENTS = st.lists(
    st.sampled_from(["size2", "size3", "scale1", "scale2", "scale3", "amnesia", "wait", "lost"]),
    max_size=4,
)


@settings(max_examples=3, deadline=None)
@given(EVENTS, st.booleans())
def test_whatever_happens_no_pod_goes_without_leaving(events: list[str], kept: bool) -> None:
    storage: dict[str, Any] = dict(KEPT) if kept else {}
    world, subscribers, size, generation = settled(storage, 2), 2, 1, 1
    for event in [*events, "wait"]:
        generation += 1
        if event.startswith("size"):
            size = max(size, int(event[-1]))
        elif event.startswith("scale"):
            subscribers = int(event[-1])
        elif event == "amnesia":
            world.memory = type(world.memory)()
        elif event == "lost":
            world.drop(world.names.node("demo-subscriber-0"))
        given_storage = {**storage, "size": f"{size}Gi"}
        world.cluster = parse(given_storage, subscribers, generation=generation)
        for _ in range(4):
            world.step()
    world.rest(300)
    assert world.replicas(Pool.SUBSCRIBER) == subscribers
    assert world.template("demo-subscriber") == f"{size}Gi"
    if kept:
        assert all(
            not (isinstance(a, Delete) and a.key.kind == "PersistentVolumeClaim") for a in world.log
        )


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1Gi", 2**30), ("1024Mi", 2**30), ("1.5Gi", 3 * 2**29), ("1G", 10**9), ("500M", 5 * 10**8),
        ("2Ti", 2**41), ("1073741824", 2**30), ("1e3", 1000), ("1E3", 1000), ("2E", 2 * 10**18),
        ("12E-1", 1.2), ("1500m", 1.5), (".5Ki", 512),
    ],
)  # fmt: skip
def test_quantities(text: str, number: float) -> None:
    assert float(quantity(text)) == number


@pytest.mark.parametrize("text", ["", "Gi", "1 Gi", "1Zi", "-1Gi", "1e", "1Gi3", "1.2.3"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        quantity(text)
