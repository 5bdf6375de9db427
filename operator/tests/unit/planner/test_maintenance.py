"""Kubernetes nodes are cordoned and drained: no broker with clients is evicted."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveconnect.controller.model.actions import (
    Delete,
    DisconnectClients,
    EvacuateNode,
    ForgetNode,
    JoinNode,
    StartListeners,
    StopListeners,
    SuspendNode,
)
from liveconnect.controller.model.manifest import ObjectKey
from liveconnect.controller.model.observed import Pool
from tests.unit.planner.simulation import World, parse
from tests.unit.planner.test_rollout import change, condition, current, settled

LAST = "demo-subscriber-2"
NEVER = (Delete, SuspendNode, EvacuateNode, ForgetNode, JoinNode)
EVERYBODY = ("demo-publisher-0", "demo-publisher-1", "demo-subscriber-0", "demo-subscriber-1", LAST)


def begun() -> World:
    """Three subscribers with clients; the last one's Kubernetes node is cordoned."""
    world = settled(3, maxClients=20, per="2s")
    world.connections = {LAST: 50, "demo-subscriber-0": 10}
    world.cordon(LAST)
    return world


def until(world: World, done: Callable[[], bool], passes: int = 120) -> None:
    for _ in range(passes):
        if done():
            return
        world.step()
    raise AssertionError(f"never: {world.log[-6:]} {world.status.get('conditions')}")


def drained(world: World) -> bool:
    return condition(world, "EvictionsPaced")["reason"] == "NodeDrained"


def serving(world: World) -> bool:
    """Whether all nodes take clients and nothing is noted."""
    ready = [p.name for p in world.observe().pods if p.ready]
    return sorted(ready) == sorted(world.wanted()) and world.settled()


def budget_of(world: World, pool: Pool) -> dict[str, object]:
    key = ObjectKey("policy/v1", "PodDisruptionBudget", "ns", world.names.pool(pool))
    spec = world.children[key]["spec"]
    return {k: v for k, v in spec.items() if k != "selector"}


def test_a_cordoned_nodes_broker_is_evicted_when_its_clients_are_elsewhere() -> None:
    world = begun()
    told: list[str] = []
    while not world.evict(LAST):
        assert world.log or world.connections[LAST] == 50
        told += [e.reason for e in world.step().events]
        drain = world.status["drain"]
        assert drain is None or (drain["node"], drain["purpose"]) == (LAST, "Maintenance")
    assert world.connections.get(LAST, 0) == 0
    batches = [a.count for a in world.log if isinstance(a, DisconnectClients)]
    assert batches == [20, 20, 10]
    assert not [a for a in world.log if isinstance(a, NEVER)]
    assert told == ["NodeDraining", "NodeDrained"]
    until(world, lambda: serving(world))
    assert world.status["drain"] is None
    assert "no broker runs on a cordoned" in condition(world, "EvictionsPaced")["message"]


def test_a_serving_broker_is_never_evicted_and_a_broken_one_at_once() -> None:
    world = settled(3)
    assert not any(world.evict(pod) for pod in EVERYBODY)
    world.down = {LAST}
    world.stop(LAST)
    assert not world.evict("demo-subscriber-0")
    assert world.evict(LAST)


def test_while_it_has_clients_it_is_not_ready_and_still_not_evicted() -> None:
    world = begun()
    until(world, lambda: 0 < world.connections[LAST] < 50)
    assert LAST not in {p.name for p in world.observe().pods if p.ready}
    assert not world.evict(LAST)
    assert budget_of(world, Pool.SUBSCRIBER) == {
        "minAvailable": 4,
        "unhealthyPodEvictionPolicy": "IfHealthyBudget",
    }
    until(world, lambda: drained(world))
    world.step()
    assert budget_of(world, Pool.SUBSCRIBER) == {
        "maxUnavailable": 0,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }


def test_clients_that_stay_are_cut_when_the_drain_has_lasted_long_enough() -> None:
    world = settled(3, maxClients=1, per="60s", drainTimeout="20s")
    world.connections = {LAST: 50}
    world.cordon(LAST)
    until(world, lambda: world.evict(LAST), passes=30)
    assert 50 - sum(a.count for a in world.log if isinstance(a, DisconnectClients)) > 40


def test_a_broker_that_breaks_while_it_is_drained_is_evicted_in_the_end() -> None:
    world = settled(3, maxClients=1, per="60s", drainTimeout="20s")
    world.connections = {LAST: 50}
    world.cordon(LAST)
    until(world, lambda: LAST in world.suspended)
    world.down = {LAST}
    world.stop(LAST)
    world.step()
    assert not world.evict(LAST), "it may only have been too busy to answer"
    until(world, lambda: world.evict(LAST), passes=30)


def test_uncordoned_before_its_eviction_it_takes_clients_again() -> None:
    world = begun()
    until(world, lambda: world.connections[LAST] == 30)
    assert world.cordoned
    world.cordoned.clear()
    made = [world.step() for _ in range(5)]
    assert [a for a in world.log if isinstance(a, StartListeners)] == [StartListeners(LAST)]
    assert [e.reason for p in made for e in p.events] == ["NodeReturned"]
    assert world.connections[LAST] == 30, "who was still there stays"
    assert serving(world)
    assert world.status["drain"] is None
    assert condition(world, "Ready")["status"] == "True"


def test_a_broker_that_starts_again_meanwhile_stands_aside_again() -> None:
    world = begun()
    until(world, lambda: drained(world))
    world.suspended.discard(LAST)
    until(world, lambda: LAST in world.suspended and drained(world), passes=5)


@pytest.mark.parametrize("back", [False, True], ids=["evicted", "uncordoned"])
def test_killed_at_any_step_it_ends_the_same(*, back: bool) -> None:
    """Another operator finds everything from what is observed."""
    undisturbed, steps = begun(), []
    for _ in range(40):
        before = copy.deepcopy(undisturbed)
        made = undisturbed.step()
        steps += [(before, done) for done in range(len(made.actions) + 1) if made.actions]
        if drained(undisturbed):
            break
    assert len(steps) >= 8
    for before, killed_after in steps:
        world = copy.deepcopy(before)
        world.step(killed_after=killed_after)
        if back:
            assert world.cordoned
            world.cordoned.clear()
        else:
            until(world, lambda w=world: w.evict(LAST))  # type: ignore[misc]
            assert sum(a.count for a in world.log if isinstance(a, DisconnectClients)) >= 50
        until(world, lambda w=world: serving(w) and w.settled())  # type: ignore[misc]
        assert not [a for a in world.log if isinstance(a, NEVER)]
        assert set(world.running) == set(EVERYBODY)


def test_one_node_at_a_time_over_both_pools() -> None:
    world = settled(3)
    cordoned = ["demo-publisher-1", "demo-subscriber-0", LAST]
    for pod in cordoned:
        world.cordon(pod)
    evicted: list[str] = []
    for _ in range(120):
        world.step()
        assert len(world.suspended) <= 1
        away = {p for p in world.wanted() if p not in world.running} | world.suspended
        assert len(away) <= 1
        evicted += [pod for pod in cordoned if pod not in evicted and world.evict(pod)]
        if len(evicted) == len(cordoned) and serving(world):
            break
    assert evicted == ["demo-publisher-1", LAST, "demo-subscriber-0"]


def test_a_pod_that_can_only_come_back_to_the_same_node_keeps_no_other_there() -> None:
    """With disks of the node's own: nobody could ever finish the drain of that node."""
    world = settled(3)
    world.cordon("demo-publisher-1")
    world.cordon(LAST)
    until(world, lambda: world.evict("demo-publisher-1"))
    world.down = {"demo-publisher-1"}
    world.live()
    world.pods["demo-publisher-1"].node = ""
    until(world, lambda: world.evict(LAST))


def test_it_waits_for_a_node_that_is_away_and_says_so() -> None:
    world = begun()
    world.down = {"demo-subscriber-0"}
    world.stop("demo-subscriber-0")
    for _ in range(5):
        world.step()
    assert not [a for a in world.log if isinstance(a, StopListeners)]
    said = condition(world, "EvictionsPaced")["message"]
    assert "waiting for demo-subscriber-0" in said
    assert LAST in said


def test_paused_nothing_is_drained_nor_evicted_and_it_says_so() -> None:
    world = begun()
    paused = {"annotations": {"liveconnect.io/paused": "true"}}
    world.cluster = world.cluster.model_copy(update=paused)
    for _ in range(5):
        world.step()
    assert not world.evict(LAST)
    said = condition(world, "EvictionsPaced")
    assert (said["status"], said["reason"]) == ("False", "Paused")
    assert LAST in said["message"]


def test_without_a_look_at_nodes_a_broker_is_evicted_as_it_is_and_it_says_so() -> None:
    world = World(parse({"replicas": 3}), cordoned=None)
    world.settle()
    said = condition(world, "EvictionsPaced")
    assert (said["status"], said["reason"]) == ("False", "NodesNotReadable")
    until(world, lambda: condition(world, "Ready")["status"] == "True")
    assert world.evict(LAST)
    assert not world.evict("demo-subscriber-0"), "one at a time"


def test_the_only_node_of_a_pool_is_evicted_as_it_is() -> None:
    world = settled(1)
    world.cordon("demo-subscriber-0")
    for _ in range(5):
        world.step()
    assert "only node of its pool" in condition(world, "EvictionsPaced")["message"]
    assert world.evict("demo-subscriber-0")


def test_a_roll_takes_the_node_that_stands_aside_first() -> None:
    world = begun()
    until(world, lambda: drained(world))
    change(world, "broker:2")
    until(world, lambda: current(world) == set(EVERYBODY) and world.settled(), passes=200)
    assert world.deletions[0] == LAST
    assert sorted(world.deletions) == sorted(EVERYBODY)


def test_a_smaller_pool_takes_the_node_that_stands_aside() -> None:
    world = begun()
    until(world, lambda: drained(world))
    disruption = {"maxClients": 20, "per": "2s"}
    world.cluster = parse({"replicas": 2, "disruption": disruption}, generation=2)
    until(world, lambda: serving(world) and len(world.wanted()) == 4)
    assert [a for a in world.log if isinstance(a, EvacuateNode)]


def test_a_pool_grows_while_a_node_stands_aside() -> None:
    world = begun()
    until(world, lambda: drained(world))
    disruption = {"maxClients": 20, "per": "2s"}
    world.cluster = parse({"replicas": 4, "disruption": disruption}, generation=2)
    until(world, lambda: len(world.disks[LAST].members) == 6)
    assert drained(world)
    until(world, lambda: world.evict(LAST), passes=3)


EVENTS = st.sampled_from(["cordon", "uncordon", "evict", "pass", "killed", "clients"])


@given(events=st.lists(st.tuples(EVENTS, st.sampled_from(EVERYBODY)), max_size=25))
@settings(max_examples=15, deadline=None)
def test_whatever_happens_nobody_with_clients_is_evicted_and_all_serve_in_the_end(
    events: list[tuple[str, str]],
) -> None:
    world = settled(3, maxClients=20, per="2s")
    for event, pod in events:
        match event:
            case "cordon" if pod in world.pods:
                world.cordon(pod)
            case "uncordon":
                world.cordoned = set()
            case "evict" if pod in world.pods:
                had = world.connections.get(pod, 0)
                was = pod in world.running
                assert not (world.evict(pod) and had and was), "its clients were cut"
            case "clients" if pod in world.running - world.suspended:
                world.connections[pod] = world.connections.get(pod, 0) + 15
            case _:
                world.step(killed_after=1 if event == "killed" else None)
        assert len(world.suspended) <= 1
    world.cordoned = set()
    until(world, lambda: serving(world) and condition(world, "Ready")["status"] == "True")
    assert not [a for a in world.log if isinstance(a, NEVER)]
