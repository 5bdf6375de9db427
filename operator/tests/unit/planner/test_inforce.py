"""`Ready` speaks of the object as it is now, never of what was there before an edit."""

from __future__ import annotations

from typing import Any

import pytest

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.actions import Apply, Delete
from liveconnect.controller.model.manifest import ObjectKey
from liveconnect.controller.model.observed import Pool
from tests.unit.planner.simulation import World
from tests.unit.planner.test_plan import autoscaled, condition, settled

_EDITS: dict[str, dict[str, Any]] = {
    "image": {"broker": {"image": "broker:2"}},
    "broker option": {"broker": {"image": "broker:1", "config": {"topic_max_depth": "9"}}},
    "gateway": {"gateway": {"replicas": 3}},
    "listeners": {"subscribers": {"listeners": [{"name": "mqtt", "port": 1884}], "replicas": 2}},
    "rules": {"auth": {"topics": [{"filter": "news", "allow": ["subscribe"]}]}},
    "growth": {"subscribers": {"replicas": 3}},
}


def ready_world() -> World:
    world = settled()
    for _ in range(10):
        world.step()
    assert condition(world, "Ready")["status"] == "True", condition(world, "Ready")
    return world


def edited(world: World, **fields: Any) -> Cluster:
    spec = world.cluster.spec.model_dump(mode="json", exclude_defaults=True)
    for name, value in fields.items():
        spec[name] = {**spec.get(name, {}), **value}
    meta = {"name": "demo", "namespace": "ns", "uid": "u"}
    generation = world.cluster.generation + 1
    body = {"metadata": {**meta, "generation": generation}, "spec": spec}
    return Cluster.parse(body)


@pytest.mark.parametrize("edit", _EDITS)
def test_ready_is_true_again_only_when_the_edit_is_in_force(edit: str) -> None:
    world = ready_world()
    world.cluster = edited(world, **_EDITS[edit])
    first = world.step()
    said = condition(world, "Ready")
    assert said["status"] == "False"
    assert str(said["observedGeneration"]) == "2"
    assert any(isinstance(a, Apply) for a in first.actions)
    for _ in range(300):
        world.step()
        if condition(world, "Ready")["status"] == "True":
            break
    else:
        raise AssertionError(condition(world, "Ready"))
    gateway = world.children[ObjectKey("apps/v1", "StatefulSet", "ns", "demo-gateway")]
    assert gateway["spec"]["replicas"] == world.cluster.spec.gateway.replicas
    assert all(pod.revision == world.revision(name) for name, pod in world.pods.items())
    assert len(world.running) == len(world.wanted())


def test_while_nodes_are_rolled_it_says_how_many_are_behind() -> None:
    world = ready_world()
    world.cluster = edited(world, broker={"image": "broker:2"})
    world.step()
    world.step()
    said = condition(world, "Ready")
    assert said["reason"] == "RollingOut"
    assert "4 of 4 nodes run an older template" in said["message"]


def test_pods_of_a_service_are_behind_until_they_are_of_its_template() -> None:
    world = ready_world()
    auth = ObjectKey("apps/v1", "Deployment", "ns", "demo-auth")
    world.late = {auth}
    world.cluster = edited(world, auth={"resources": {"requests": {"cpu": "70m"}}})
    for _ in range(5):
        world.step()
    counts = {"replicas": 3, "readyReplicas": 2, "updatedReplicas": 1}
    seen = {"observedGeneration": world.generations[auth]}
    world.children[auth]["status"] = counts | seen
    world.step()
    assert condition(world, "AuthReady")["status"] == "True", "it serves all the time"
    assert "demo-auth: 1 pods are of an older template" in condition(world, "Ready")["message"]
    world.children[auth]["status"] = counts | seen | {"updatedReplicas": 2}
    world.step()
    assert condition(world, "Ready")["status"] == "True"


def test_a_pool_that_was_made_smaller_is_ready_when_the_last_node_has_left() -> None:
    world, told = ready_world(), []
    world.cluster = edited(world, subscribers={"replicas": 1})
    for _ in range(200):
        world.step()
        told.append(condition(world, "Ready"))
        nodes = max(world.replicas(Pool.SUBSCRIBER), len(world.observe().pool(Pool.SUBSCRIBER)))
        if told[-1]["status"] == "True":
            break
        assert condition(world, "SubscribersReady")["status"] == "True", "it serves all the time"
    assert nodes == 1
    assert told[-1]["status"] == "True", told[-1]
    assert "subscriber pool: 2 nodes, 1 are asked for" in {said["message"] for said in told}


def test_a_pool_that_the_autoscaler_makes_smaller_is_ready_all_the_time() -> None:
    world = autoscaled()
    world.connections = {"demo-subscriber-0": 25}
    world.settle()
    assert world.replicas(Pool.SUBSCRIBER) == 3
    for _ in range(30):
        world.step()
    assert condition(world, "Ready")["status"] == "True"
    world.connections = {}
    for _ in range(200):
        world.step()
        assert condition(world, "Ready")["status"] == "True", condition(world, "Ready")
        if world.replicas(Pool.SUBSCRIBER) == 1:
            break
    assert world.replicas(Pool.SUBSCRIBER) == 1


@pytest.mark.parametrize(("mode", "ready"), [("Auto", "False"), ("Recommend", "True")])
def test_a_lower_bound_of_the_autoscaler_is_an_edit_if_anybody_acts_on_it(
    mode: str, ready: str
) -> None:
    world = autoscaled()
    world.connections = {"demo-subscriber-0": 25}
    world.settle()
    for _ in range(30):
        world.step()
    assert condition(world, "Ready")["status"] == "True"
    world.cluster = edited(
        world, subscribers={"autoscaling": {"mode": mode, "minReplicas": 1, "maxReplicas": 2,
                                            "connectionsPerNode": 10}})  # fmt: skip
    world.step()
    for _ in range(5):
        world.step()
        assert condition(world, "Ready")["status"] == ready, condition(world, "Ready")


def test_a_paused_edit_is_not_in_force() -> None:
    world = ready_world()
    paused = {"annotations": {"liveconnect.io/paused": "true"}}
    world.cluster = edited(world, gateway={"replicas": 3}).model_copy(update=paused)
    for _ in range(3):
        world.step()
        said = condition(world, "Ready")
        assert said["status"] == "False"
        assert "StatefulSet/demo-gateway" in said["message"]
        assert "not applied while it is paused" in said["message"]


def test_a_new_operator_process_does_not_unsay_it() -> None:
    world = ready_world()
    world.memory = type(world.memory)()
    assert world.step().actions, "it applies everything once, to own it"
    assert condition(world, "Ready")["status"] == "True"


def test_a_load_balancer_of_another_class_is_made_anew_and_not_ready_before() -> None:
    def balanced(by: str) -> dict[str, Any]:
        return {"subscribers": {"service": {"loadBalancerClass": by}, "replicas": 2}}

    world = ready_world()
    service = ObjectKey("v1", "Service", "ns", "demo-subscriber")
    world.children[service]["spec"]["loadBalancerClass"] = "the.cloud/own"
    world.cluster = edited(world, gateway={"replicas": 3})
    assert service not in {a.key for a in world.step().actions if isinstance(a, Delete)}
    world.cluster = edited(world, **balanced("example.com/b"))
    world.children[service]["metadata"]["finalizers"] = ["cleanup"]
    before = world.children[service]
    made = world.step()
    (gone,) = [a for a in made.actions if isinstance(a, Delete)]
    assert (gone.key, gone.uid) == (service, str(service))
    assert service not in {ObjectKey.of(a.manifest) for a in made.actions if isinstance(a, Apply)}
    assert [e.reason for e in made.events if "loadBalancerClass" in e.message] == ["MadeAnew"]
    assert "Service/demo-subscriber" in condition(world, "Ready")["message"]
    # Its load balancer is freed first.
    before["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world.children[service] = before
    for _ in range(20):
        assert not [a for a in world.step().actions if isinstance(a, Delete)]
    assert "Service/demo-subscriber is made anew" in condition(world, "Ready")["message"]
    del world.children[service]
    for _ in range(3):
        world.step()
    assert world.children[service]["spec"]["loadBalancerClass"] == "example.com/b"
    assert condition(world, "Ready")["status"] == "True"
