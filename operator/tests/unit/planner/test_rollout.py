"""Rolls and drains in the simulated world."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from liveconnect.api.v1alpha1 import DrainStatus
from liveconnect.controller.model.actions import (
    Delete,
    DisconnectClients,
    EvacuateNode,
    ForgetNode,
    JoinNode,
)
from liveconnect.controller.model.observed import Memory, Pool
from liveconnect.controller.planner.reasons import Reason
from liveconnect.controller.planner.rollout import SETTLE
from tests.unit.planner.simulation import Disk, World, parse

EVERYBODY = [
    "demo-publisher-1",
    "demo-publisher-0",
    "demo-subscriber-1",
    "demo-subscriber-0",
]


def settled(subscribers: int = 2, **disruption: object) -> World:
    world = World(parse({"replicas": subscribers, "disruption": disruption}))
    world.settle()
    world.log.clear()
    world.deletions.clear()
    return world


def change(world: World, image: str) -> None:
    spec = world.cluster.spec
    broker = spec.broker.model_copy(update={"image": image})
    world.cluster = world.cluster.model_copy(
        update={
            "generation": world.cluster.generation + 1,
            "spec": spec.model_copy(update={"broker": broker}),
        }
    )


def roll(world: World, seconds: int = 120, *, amnesia: bool = False) -> None:
    """Run until nothing is outdated; at no time are two nodes away."""
    for _ in range(seconds):
        if amnesia:
            applied = world.memory.applied
            world.memory = Memory(applied=applied)
        before = len(world.deletions)
        ready = {p.name for p in world.observe().pods if p.ready}
        world.step()
        gone = world.deletions[before:]
        assert len(gone) <= 1
        if gone:
            others = set(world.wanted()) - set(gone)
            broken = {p for p in others if world.pods[p].revision in world.bad_revisions}
            assert others - broken <= ready, "a second node went while the first was away"
        assert world.plan is not None
        outdated = {p for p in world.pods if world.pods[p].revision != world.revision(p)}
        if not outdated and world.settled():
            return
    raise AssertionError(f"still outdated: {world.deletions} {world.status['conditions']}")


def condition(world: World, kind: str) -> dict[str, str]:
    found: dict[str, str] = next(c for c in world.status["conditions"] if c["type"] == kind)
    return found


def test_a_change_restarts_one_node_at_a_time_subscribers_last() -> None:
    world = settled()
    change(world, "broker:2")
    roll(world)
    assert world.deletions == EVERYBODY
    assert not any(isinstance(a, JoinNode | ForgetNode) for a in world.log)


def test_the_roll_goes_on_with_another_operator_after_every_pass() -> None:
    world = settled()
    world.connections = {"demo-subscriber-0": 3, "demo-subscriber-1": 3}
    change(world, "broker:2")
    for _ in range(int(SETTLE.total_seconds()) + 2):
        world.step()
    revisions = world.memory.revisions
    for _ in range(200):
        # The settling time is counted anew by each operator; the rest must go on by itself.
        world.memory = Memory(applied=world.memory.applied, revisions=revisions)
        world.step()
    assert world.deletions == EVERYBODY


def test_a_bad_image_stops_after_the_first_node_and_reverting_recovers() -> None:
    world = settled()
    change(world, "broker:bad")
    world.step()
    world.bad_revisions = {world.revision("demo-publisher-0")}
    for _ in range(60):
        world.step()
    assert world.deletions == ["demo-publisher-1"]
    assert "waiting for demo-publisher-1" in condition(world, "Progressing")["message"]
    change(world, "broker:1")
    roll(world)
    assert world.deletions == ["demo-publisher-1", "demo-publisher-1"]


def test_two_quick_edits_make_one_roll() -> None:
    world = settled()
    change(world, "broker:2")
    world.step()
    world.step()
    change(world, "broker:3")
    roll(world)
    assert world.deletions == EVERYBODY


@given(pauses=st.lists(st.integers(0, 12), min_size=1, max_size=3))
@settings(max_examples=8)
@example(pauses=[6])  # the first node's clients are gone, it is about to go
@example(pauses=[6, 2])
def test_no_node_restarts_for_a_change_that_another_may_follow(pauses: list[int]) -> None:
    """Whenever edits come, also while a drained node is about to go: each restart is for good."""
    world = settled()
    for number, pause in enumerate([*pauses, 60]):
        change(world, f"broker:{number + 2}")
        changed = world.now
        for _ in range(pause):
            gone, at = len(world.deletions), world.now
            world.step()
            assert len(world.deletions) == gone or at - changed >= SETTLE
            if number == len(pauses) and set(world.pods) == current(world):
                break
    assert set(world.pods) == current(world)
    quick = sum(pause < SETTLE.total_seconds() for pause in pauses)
    assert max(world.deletions.count(pod) for pod in EVERYBODY) <= len(pauses) + 1 - quick


def current(world: World) -> set[str]:
    return {p for p in world.pods if world.pods[p].revision == world.revision(p)}


def test_a_roll_waits_while_a_node_is_away() -> None:
    world = settled()
    world.down = {"demo-subscriber-0"}
    world.stop("demo-subscriber-0")
    change(world, "broker:2")
    for _ in range(30):
        world.step()
    # The one that is down is made anew first: nobody is served by it. Then everything waits.
    assert world.deletions == ["demo-subscriber-0"]
    world.down = set()
    roll(world)
    assert sorted(world.deletions) == sorted(EVERYBODY)


def test_clients_are_moved_within_the_budget_before_a_restart() -> None:
    world = settled(maxClients=100, per="5s")
    world.connections = {"demo-subscriber-1": 450}
    change(world, "broker:2")
    cuts, left = [], []
    for _ in range(90):
        made = world.step()
        cuts += [(world.now, a.count) for a in made.actions if isinstance(a, DisconnectClients)]
        if world.status["drain"]:
            left.append(world.status["drain"]["sessionsLeft"])
    assert sum(count for _, count in cuts) == 450
    for at, _ in cuts:
        assert sum(c for t, c in cuts if at <= t < at + timedelta(seconds=5)) <= 100
    assert left == sorted(left, reverse=True) or 450 in left
    assert world.deletions == EVERYBODY


def test_a_share_is_of_the_pools_clients() -> None:
    world = settled(maxClients="10%", per="1h")
    world.connections = {"demo-subscriber-0": 60, "demo-subscriber-1": 40}
    world.cluster = parse(
        {"replicas": 1, "disruption": {"maxClients": "10%", "per": "1h"}}, generation=2
    )
    for _ in range(30):
        world.step()
    cut = [a.count for a in world.log if isinstance(a, DisconnectClients)]
    assert cut == [10]
    assert world.status["drain"] == {
        **world.status["drain"],
        "node": "demo-subscriber-1",
        "purpose": "Leave",
        "sessionsLeft": 30,
    }


def test_the_status_and_the_events_tell_how_far_a_drain_is() -> None:
    budget = {"maxClients": 10, "per": "60s", "drainTimeout": "10m"}
    world = settled(3, **budget)
    world.connections = {"demo-subscriber-2": 40}
    world.queues = {"demo-subscriber-2": 70}
    world.cluster = parse({"replicas": 2, "disruption": budget}, generation=2)
    begun = world.now
    events = [event for _ in range(40) for event in world.step().events]
    told = DrainStatus.model_validate(world.status["drain"])
    assert (told.node, told.purpose) == ("demo-subscriber-2", "Leave")
    assert (told.sessionsLeft, told.queuesLeft) == (30, 70)
    assert told.since - begun < timedelta(seconds=3)
    # Ten in the 37 s since they were moved; 30 more at this rate.
    assert told.rate == "16/min"
    assert told.eta is not None
    assert timedelta(seconds=100) < told.eta - world.now < timedelta(seconds=125)
    said = [e.message for e in events if e.reason == Reason.LEAVING]
    assert said == ["demo-subscriber-2 takes no new clients and will leave"]
    progress = condition(world, "Progressing")["message"]
    assert progress == "demo-subscriber-2 leaves the cluster: 30 clients and 70 queues left"


def test_a_drain_ends_when_its_time_is_over() -> None:
    world = settled(maxClients=1, per="1h", drainTimeout="30s")
    world.connections = {"demo-subscriber-1": 50}
    change(world, "broker:2")
    roll(world)
    assert world.deletions == EVERYBODY


def test_a_leaving_node_that_dies_for_good_is_forgotten_after_the_drains_time() -> None:
    world = settled(subscribers=3, drainTimeout="60s")
    world.cluster = parse({"replicas": 2, "disruption": {"drainTimeout": "60s"}}, generation=2)
    world.step()
    world.down = {"demo-subscriber-2"}
    world.stop("demo-subscriber-2")
    begun = world.now
    while not any(isinstance(a, ForgetNode) for a in world.log):
        world.step()
        assert world.now - begun < timedelta(seconds=120)
    assert world.now - begun >= timedelta(seconds=60)
    world.settle()
    assert world.replicas(Pool.SUBSCRIBER) == 2


def test_a_pod_that_never_came_up_is_taken_away_without_a_leave() -> None:
    world = settled()
    world.down = {"demo-subscriber-2"}
    world.cluster = parse({"replicas": 3}, generation=2)
    for _ in range(30):
        world.step()
    assert world.replicas(Pool.SUBSCRIBER) == 3
    world.cluster = parse({"replicas": 2}, generation=3)
    world.settle()
    assert world.replicas(Pool.SUBSCRIBER) == 2


def test_a_lone_node_that_the_others_refuse_loses_its_disk() -> None:
    world = settled()
    world.drop(world.names.node("demo-subscriber-1"))
    world.disks["demo-subscriber-1"] = Disk({world.names.node("demo-subscriber-1")}, dirty=True)
    for _ in range(120):
        world.step()
        if world.settled():
            break
    assert world.settled()
    wiped = [a.key.kind for a in world.log if isinstance(a, Delete)]
    assert wiped == ["PersistentVolumeClaim", "Pod"]


def test_subscribers_shrink_before_publishers() -> None:
    world = World(parse({"replicas": 3}, publishers=3))
    world.settle()
    world.cluster = parse({"replicas": 2}, publishers=2, generation=2)
    while world.replicas(Pool.SUBSCRIBER) == 3:
        world.step()
        assert world.replicas(Pool.PUBLISHER) == 3
    world.settle()
    world.settle()
    assert world.replicas(Pool.PUBLISHER) == 2


@pytest.mark.parametrize("amnesia", [False, True])
def test_the_event_names_the_field(amnesia: bool) -> None:
    world = settled()
    change(world, "broker:2")
    if amnesia:
        world.memory = Memory()
    said = [e.message for e in world.step().events if e.reason == "RollingOut"]
    assert said == [
        "publisher pool restarts node by node: containers[vernemq].image: broker:1 → broker:2",
        "subscriber pool restarts node by node: containers[vernemq].image: broker:1 → broker:2",
    ]


def test_the_event_tells_of_a_restart_that_was_asked_for() -> None:
    world = settled()
    asked = {"liveconnect.io/restart": "today"}
    world.cluster = world.cluster.model_copy(update={"annotations": asked})
    said = [e.message for e in world.step().events if e.reason == "RollingOut"]
    field = "metadata.annotations.liveconnect.io/restart"
    assert said == [f"{pool} pool restarts node by node: {field}" for pool in Pool]


def test_a_migration_is_asked_for_again_only_when_it_stands_still() -> None:
    """Two at once would deliver messages twice (recorded)."""
    world = settled(subscribers=3)
    world.cluster = parse({"replicas": 2}, generation=2)
    world.stuck = True
    world.queues = {"demo-subscriber-2": 400}
    asked = []
    for second in range(110):
        if any(isinstance(a, EvacuateNode) for a in world.step().actions):
            asked.append(second)
        if second < 40:
            world.queues["demo-subscriber-2"] -= 5  # it moves, slowly
    assert len(asked) == 3
    assert asked[1] - 40 >= 25, "it was moving"
    world.stuck = False
    for _ in range(60):
        world.step()
    assert world.replicas(Pool.SUBSCRIBER) == 2
