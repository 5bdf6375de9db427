"""The planner in a simulated world."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from liveconnect.controller.model.actions import (
    Apply,
    Delete,
    EvacuateNode,
    ForgetNode,
    JoinNode,
    SetOptions,
    SuspendNode,
)
from liveconnect.controller.model.observed import Pool
from tests.unit.planner.simulation import Disk, World, parse


def settled(subscribers: int = 2, publishers: int = 2) -> World:
    world = World(parse({"replicas": subscribers}, publishers))
    world.settle()
    return world


def kinds(world: World) -> list[type]:
    return [type(a) for a in world.log if not isinstance(a, Apply | SetOptions)]


def condition(world: World, kind: str) -> dict[str, str]:
    found: dict[str, str] = next(c for c in world.status["conditions"] if c["type"] == kind)
    return found


def test_a_new_cluster_joins_one_by_one_and_then_plans_nothing() -> None:
    world = settled()
    joins = [a for a in world.log if isinstance(a, JoinNode)]
    assert {j.pod for j in joins} == {"demo-publisher-1", "demo-subscriber-0", "demo-subscriber-1"}
    assert kinds(world) == [JoinNode] * 3
    assert not world.step().actions


def test_a_configmap_is_applied_before_the_pods_that_read_it() -> None:
    world = World(parse({"replicas": 1}))
    order = [f"{a.manifest['kind']}" for a in world.step().actions if isinstance(a, Apply)]
    assert order.index("ConfigMap") < order.index("StatefulSet")
    assert order.index("Secret") < order.index("StatefulSet")


def test_mesh_is_true_only_when_all_lists_agree() -> None:
    world = World(parse({"replicas": 2}))
    while not any(isinstance(a, JoinNode) for a in world.log):
        world.step()
    assert condition(world, "MeshVerified")["status"] == "False"
    world.settle()
    world.step()
    assert condition(world, "MeshVerified")["status"] == "True"


def test_growing_joins_the_new_nodes_only() -> None:
    world = settled()
    world.log.clear()
    world.cluster = parse({"replicas": 4}, generation=2)
    world.settle()
    assert {a.pod for a in world.log if isinstance(a, JoinNode)} == {
        "demo-subscriber-2",
        "demo-subscriber-3",
    }


def test_a_node_that_joins_keeps_its_disk_while_the_others_do_not_list_it_yet() -> None:
    world = settled()
    world.cluster = parse({"replicas": 4}, generation=2)
    world.settle()
    assert not [a for a in world.log if isinstance(a, Delete)]


def test_shrinking_leaves_one_at_a_time_and_takes_the_volume() -> None:
    world = settled(subscribers=4)
    world.log.clear()
    world.cluster = parse({"replicas": 2}, generation=2)
    world.settle()
    world.settle()
    assert kinds(world) == [SuspendNode, EvacuateNode, Delete] * 2
    assert world.replicas(Pool.SUBSCRIBER) == 2
    assert "demo-subscriber-3" not in world.disks


def test_the_leave_is_written_down_before_anything_is_done() -> None:
    world = settled(subscribers=3)
    world.cluster = parse({"replicas": 2}, generation=2)
    first = world.step()
    assert all(isinstance(a, Apply) for a in first.actions)
    assert isinstance(world.step().actions[-1], SuspendNode)


def test_a_new_operator_goes_on_with_a_leave() -> None:
    world = settled(subscribers=3)
    world.cluster = parse({"replicas": 2}, generation=2)
    for _ in range(60):
        world.memory = type(world.memory)()  # killed after every single pass
        world.step()
        if world.replicas(Pool.SUBSCRIBER) == 2 and "demo-subscriber-2" not in world.disks:
            break
    world.settle()
    assert world.replicas(Pool.SUBSCRIBER) == 2


def test_a_restart_is_no_leave() -> None:
    world = settled()
    world.log.clear()
    world.running.discard("demo-subscriber-1")
    for _ in range(10):
        world.step()
        world.running.discard("demo-subscriber-1")
    assert not kinds(world)
    world.settle()
    assert not kinds(world)


def test_a_dead_member_that_nobody_wants_is_forgotten() -> None:
    world = settled()
    world.log.clear()
    for disk in world.disks.values():
        disk.members.add(world.names.node("demo-subscriber-7"))
    world.settle()
    assert kinds(world) == [ForgetNode]


def test_a_node_with_another_lifes_state_loses_its_volume_and_joins() -> None:
    world = settled()
    world.log.clear()
    node = world.names.node("demo-subscriber-1")
    world.drop(node)  # forgotten while it was dead; it still lists everybody
    world.settle()
    assert kinds(world) == [Delete, Delete, JoinNode]


def test_an_ordinal_is_not_reused_while_its_old_volume_is_there() -> None:
    world = settled()
    world.disks["demo-subscriber-2"] = Disk({"VerneMQ@old"}, dirty=True)
    world.cluster = parse({"replicas": 3}, generation=2)
    world.step()
    assert world.replicas(Pool.SUBSCRIBER) == 2
    world.settle()
    assert world.replicas(Pool.SUBSCRIBER) == 3


def autoscaled(minimum: int = 1, stabilization: int = 5) -> World:
    world = World(
        parse(
            {
                "autoscaling": {
                    "minReplicas": minimum,
                    "maxReplicas": 4,
                    "connectionsPerNode": 10,
                    "scaleDown": {"stabilizationSeconds": stabilization},
                }
            }
        )
    )
    world.settle()
    return world


def test_connections_grow_the_pool_at_once_and_shrink_it_by_leaving() -> None:
    world = autoscaled()
    assert world.replicas(Pool.SUBSCRIBER) == 1
    world.connections = {"demo-subscriber-0": 25}
    world.step()
    assert world.replicas(Pool.SUBSCRIBER) == 3
    world.settle()
    assert condition(world, "ScalingActive")["status"] == "True"
    world.log.clear()
    world.connections = {}
    for _ in range(80):
        world.step()
    assert world.replicas(Pool.SUBSCRIBER) == 1
    assert kinds(world) == [SuspendNode, EvacuateNode, Delete] * 2


def test_the_pool_does_not_shrink_within_the_window() -> None:
    world = autoscaled(stabilization=600)
    world.connections = {"demo-subscriber-0": 25}
    world.settle()
    world.connections = {}
    begun = world.now
    while world.now - begun < timedelta(seconds=300):
        world.step()
    assert world.replicas(Pool.SUBSCRIBER) == 3


def test_a_silent_node_never_shrinks_the_pool() -> None:
    world = autoscaled()
    world.connections = {"demo-subscriber-0": 25}
    world.settle()
    world.connections = {}
    for _ in range(60):
        world.running.discard("demo-subscriber-1")
        made = world.step()
        world.running.discard("demo-subscriber-1")
    assert world.replicas(Pool.SUBSCRIBER) == 3
    assert not made.actions


faults = st.lists(
    st.sampled_from(["restart", "scale1", "scale2", "scale3", "wait", "amnesia", "drift"]),
    max_size=5,
)


@settings(max_examples=12, deadline=None)
@given(faults)
@example(["scale3", "scale1", "restart"])  # the node goes before it has joined
def test_whatever_happens_it_converges_and_never_breaks_the_contract(events: list[str]) -> None:
    """The simulation asserts VerneMQ's rules at every action; here: it always ends whole."""
    world = settled()
    generation = 1
    for event in events:
        if event.startswith("scale"):
            generation += 1
            world.cluster = parse({"replicas": int(event[-1])}, generation=generation)
        elif event == "restart":
            world.running.discard(world.wanted()[-1])
        elif event == "amnesia":
            world.memory = type(world.memory)()
        elif event == "drift" and world.children:
            world.children.pop(min(world.children))
        before = {p: world.replicas(p) for p in Pool}
        for _ in range(5):
            world.step()
            for pool in Pool:  # never down by more than one per pass
                assert world.replicas(pool) >= before[pool] - 1
                before[pool] = world.replicas(pool)
    for _ in range(6):
        world.settle()
        if world.replicas(Pool.SUBSCRIBER) == world.cluster.spec.subscribers.replicas:
            break
    assert world.replicas(Pool.SUBSCRIBER) == (world.cluster.spec.subscribers.replicas or 2)
    assert not world.step().actions


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4))
def test_the_same_observation_gives_the_same_plan(publishers: int, subscribers: int) -> None:
    first = World(parse({"replicas": subscribers}, publishers)).step()
    second = World(parse({"replicas": subscribers}, publishers)).step()
    assert first == second


def test_a_step_that_must_be_repeated_is_announced_once() -> None:
    """A migration that does not succeed at once is asked for again on every pass."""
    world = settled(subscribers=3)
    world.cluster = parse({"replicas": 2}, generation=2)
    said: list[str] = []
    for _ in range(8):
        made = world.step()
        said += [e.message for e in made.events if "move away" in e.message]
        for pod, disk in world.disks.items():  # the node stays a member
            if pod != "demo-subscriber-2":
                disk.members.add(world.names.node("demo-subscriber-2"))
        world.suspended.add("demo-subscriber-2")
    assert len(said) == 1


def test_paused_plans_nothing_and_says_so() -> None:
    world = settled()
    annotations = {"liveconnect.io/paused": "true"}
    changed = parse({"replicas": 4}, generation=2)
    world.cluster = changed.model_copy(update={"annotations": annotations})
    made = world.step()
    assert not made.actions
    assert not made.events
    assert condition(world, "Paused")["status"] == "True"
