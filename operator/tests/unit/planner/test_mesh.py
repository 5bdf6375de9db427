"""Whether the nodes are one mesh, and what waits while they are not."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from liveconnect.api.v1alpha1 import Condition, MeshStatus
from liveconnect.controller.model.actions import JoinNode, StopListeners, SuspendNode
from liveconnect.controller.model.mesh import Delivery, MeshView
from liveconnect.controller.model.observed import LoadSample, Memory, Pool
from liveconnect.controller.planner.mesh import STALE
from tests.unit.planner.simulation import World, parse
from tests.unit.planner.test_rollout import change, roll

PODS = ("demo-publisher-0", "demo-publisher-1", "demo-subscriber-0", "demo-subscriber-1")
AWAY = "refused: Not authorized"


def settled(subscribers: int = 2) -> World:
    """A cluster whose canary has tried everything."""
    world = World(parse({"replicas": subscribers}), mesh=MeshView())
    world.settle()
    for _ in range(3):
        world.step()
    world.log.clear()
    world.deletions.clear()
    return world


def condition(world: World, kind: str) -> Condition:
    assert world.plan is not None
    return next(c for c in world.plan.status.conditions if c.type == kind)


def steps(world: World, count: int) -> None:
    for _ in range(count):
        world.step()


def around(pod: str) -> set[tuple[str, str]]:
    """Everything from and to a pod."""
    return {pair for pair in permutations(PODS, 2) if pod in pair}


def test_messages_are_tried_between_all_pairs_and_shown() -> None:
    world = settled()
    verified = condition(world, "MeshVerified")
    assert (verified.status, verified.reason) == ("True", "OneCluster")
    assert verified.message == "4 nodes list each other, and messages get from each to each"
    assert world.plan is not None
    shown = world.plan.status.mesh
    assert shown is not None
    assert (shown.pairs, shown.failing, shown.medianMs, shown.slowestMs) == (12, [], 4, 4)
    assert condition(world, "Degraded").status == "False"


def test_without_a_canary_the_lists_decide() -> None:
    world = World(parse({"replicas": 2}))
    world.settle()
    world.step()
    assert condition(world, "MeshVerified").message == "4 nodes list each other"
    assert world.plan is not None
    assert world.plan.status.mesh is None


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 30))
def test_no_node_is_tried_before_it_has_joined(
    subscribers: int, publishers: int, forget_at: int
) -> None:
    # The simulated world asserts it of every target.
    world = World(parse({"replicas": subscribers}, publishers), mesh=MeshView())
    for second in range(200):
        if second == forget_at:
            world.memory = Memory(applied=world.memory.applied)
        world.step()
    assert condition(world, "MeshVerified").status == "True"


def test_a_split_is_degraded_with_the_nodes_named_and_told_once() -> None:
    world = settled()
    world.lost = around("demo-subscriber-1")
    told = [event for _ in range(4) for event in world.step().events if event.reason == "Split"]
    verified, degraded = condition(world, "MeshVerified"), condition(world, "Degraded")
    assert (verified.status, verified.reason) == ("False", "Split")
    assert "from demo-publisher-0 to demo-subscriber-1" in verified.message
    assert "(look at demo-subscriber-1)" in verified.message
    assert (degraded.status, degraded.reason) == ("True", "Split")
    assert verified.message in condition(world, "Ready").message
    assert [(event.type, event.message) for event in told] == [("Warning", verified.message)]
    assert world.plan is not None
    assert world.plan.status.mesh is not None
    assert len(world.plan.status.mesh.failing) == 6
    world.lost.clear()
    healed = [event for _ in range(4) for event in world.step().events]
    assert [(event.type, event.reason) for event in healed] == [("Normal", "OneCluster")]
    assert condition(world, "MeshVerified").status == "True"
    assert condition(world, "Degraded").status == "False"


def test_a_node_that_another_calls_dead_is_a_split_although_both_list_each_other() -> None:
    world = settled()
    observed = world.observe()
    view = observed.brokers["demo-publisher-0"]
    blind = {m: "subscriber-1" not in m for m in view.members}
    view.members.clear()  # type: ignore[attr-defined]  # the simulation's own dictionary
    view.members.update(blind)  # type: ignore[attr-defined]
    world.observe = lambda: observed  # type: ignore[method-assign]
    world.step()
    verified = condition(world, "MeshVerified")
    assert (verified.status, verified.reason) == ("False", "Split")
    assert verified.message == "demo-publisher-0 does not see demo-subscriber-1"


def test_rolls_and_scaling_wait_for_a_split_to_heal() -> None:
    world = settled()
    world.lost = {("demo-publisher-0", "demo-subscriber-1")}
    steps(world, 2)
    change(world, "broker:2")
    steps(world, 30)
    assert not world.deletions
    assert not any(isinstance(a, StopListeners) for a in world.log)
    assert "no messages get" in condition(world, "Progressing").message
    world.lost.clear()
    roll(world)
    assert len(world.deletions) == 4


def test_a_pool_neither_grows_nor_shrinks_in_a_split() -> None:
    world = settled(3)
    world.lost = {("demo-publisher-0", "demo-subscriber-1")}
    steps(world, 2)
    for replicas in (2, 4):
        world.cluster = parse({"replicas": replicas}, generation=replicas)
        steps(world, 30)
        assert world.replicas(Pool.SUBSCRIBER) == 3
        assert not any(isinstance(a, SuspendNode | JoinNode) for a in world.log)
    world.lost.clear()
    world.settle()
    steps(world, 3)
    world.settle()
    assert world.replicas(Pool.SUBSCRIBER) == 4


def test_a_broken_node_of_an_older_template_is_repaired_in_a_split() -> None:
    world = settled()
    world.lost = {("demo-publisher-0", "demo-subscriber-0")}
    steps(world, 2)
    change(world, "broken:1")
    steps(world, 8)
    world.lost.clear()
    world.bad_revisions.add(world.revision("demo-publisher-1"))
    steps(world, 30)
    assert world.deletions == ["demo-publisher-1"]
    world.lost = {("demo-publisher-0", "demo-subscriber-0")}
    change(world, "broker:1")
    steps(world, 30)
    assert world.deletions.count("demo-publisher-1") == 2
    assert "demo-publisher-0" not in world.deletions


def test_what_cannot_be_tried_is_unknown_and_holds_nothing_up() -> None:
    world = settled()
    world.untried = dict.fromkeys(PODS, AWAY)
    steps(world, 2)
    # What was found a moment ago still counts …
    assert condition(world, "MeshVerified").status == "True"
    world.now += STALE
    steps(world, 2)
    verified = condition(world, "MeshVerified")
    assert (verified.status, verified.reason) == ("Unknown", "NotVerifiable")
    assert f"demo-subscriber-1: {AWAY}" in verified.message
    assert condition(world, "Degraded").status == "False"
    # … and the change that repairs it may be a roll.
    change(world, "broker:2")
    roll(world)
    assert len(world.deletions) == 4


def test_each_step_of_a_roll_waits_until_the_node_was_tried() -> None:
    world = settled()
    change(world, "broker:2")
    known = world.mesh
    for _ in range(40):
        world.step()
        world.mesh = known  # the next round takes its time
    assert len(world.deletions) == 1
    assert condition(world, "MeshVerified").reason == "Verifying"
    roll(world)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.0001, 0.009), min_size=12, max_size=12), st.integers(0, 3000))
def test_small_changes_of_latency_write_no_status(times: list[float], later: int) -> None:
    world = settled()
    before = world.status["mesh"]
    assert world.plan is not None
    world.now += timedelta(seconds=later)
    pairs = permutations((t.life for t in world.plan.targets), 2)
    world.mesh = MeshView(
        pairs={pair: Delivery(world.now, t) for pair, t in zip(pairs, times, strict=True)}
    )
    world.step()
    assert world.status["mesh"] == before


def test_status_is_renewed_when_it_says_something_new() -> None:
    world = settled()
    before = MeshStatus.model_validate(world.status["mesh"])
    world.now += timedelta(hours=1)
    steps(world, 2)
    after = MeshStatus.model_validate(world.status["mesh"])
    assert after.verifiedAt is not None
    assert before.verifiedAt is not None
    assert after.verifiedAt - before.verifiedAt >= timedelta(hours=1)


def test_an_operators_restart_is_no_news_of_the_brokers() -> None:
    for lost in (set(), around("demo-subscriber-1")):
        world = settled()
        world.lost = lost
        steps(world, 3)
        before = world.status
        world.mesh = MeshView()
        world.memory = Memory(applied=world.memory.applied)
        made = world.step()
        assert world.status["conditions"] == before["conditions"]
        assert world.status["mesh"] == before["mesh"]
        assert not made.events
        steps(world, 3)
        assert world.status["conditions"] == before["conditions"]


def test_a_roll_waits_until_a_new_operator_has_tried() -> None:
    world = settled()
    change(world, "broker:2")
    for _ in range(20):
        world.mesh = MeshView()
        world.step()
    assert not world.deletions
    roll(world)


def test_a_status_of_another_version_is_replaced() -> None:
    world = settled()
    world.status["mesh"] = {"pairs": "many"}
    steps(world, 2)
    assert world.status["mesh"]["pairs"] == 12


def test_skew_is_the_fullest_node_by_the_mean() -> None:
    world = settled(3)
    assert world.status["subscribers"]["skew"] == ""
    world.connections = {f"demo-subscriber-{n}": c for n, c in enumerate((10, 20, 60))}
    world.step()
    assert world.status["subscribers"]["skew"] == "2.0"
    assert world.status["publishers"]["skew"] == ""


def test_the_canarys_connects_are_nobodys() -> None:
    world = settled()
    before = LoadSample(world.now, {"demo-subscriber-0": 100}, {"demo-subscriber-0": 5})
    world.now += timedelta(seconds=30)
    after = LoadSample(world.now, {"demo-subscriber-0": 103}, {"demo-subscriber-0": 8})
    world.memory = Memory(applied=world.memory.applied, samples=(before, after))
    world.step()
    assert world.status["rate"] == "0/min"
