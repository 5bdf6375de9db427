"""The operator is killed at every step of taking nodes out of service; the end is the same."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest

from liveconnect.controller.model.actions import Delete, ForgetNode, JoinNode
from liveconnect.controller.model.observed import Pool
from tests.unit.planner.simulation import World, parse
from tests.unit.planner.test_rollout import EVERYBODY, change, settled


def shrink(world: World) -> None:
    disruption = {"maxClients": 20, "per": "2s"}
    world.cluster = parse({"replicas": 2, "disruption": disruption}, generation=2)


def restart(world: World) -> None:
    change(world, "broker:2")


def begun(ask: Callable[[World], None]) -> World:
    """Three subscribers with clients, before the first pass that knows what is asked for."""
    world = settled(3, maxClients=20, per="2s")
    world.connections = {"demo-subscriber-2": 50, "demo-subscriber-0": 10}
    ask(world)
    return world


def over(world: World) -> bool:
    outdated = [p for p in world.pods if world.pods[p].revision != world.revision(p)]
    return world.plan is not None and world.settled() and not outdated


def finish(world: World) -> None:
    for _ in range(240):
        world.step()
        if over(world) and world.replicas(Pool.SUBSCRIBER) == asked_for(world):
            return
    raise AssertionError(f"it never ends: {world.log[-6:]} {world.status['conditions']}")


def asked_for(world: World) -> int:
    return world.cluster.spec.subscribers.replicas or 0


def outcome(world: World) -> tuple[object, ...]:
    """What is left, and what was done that cannot be undone."""
    deleted = [a.key.name for a in world.log if isinstance(a, Delete) and a.key.kind != "Pod"]
    members = {pod: frozenset(disk.members) for pod, disk in world.disks.items()}
    pods = {pod: body.revision for pod, body in world.pods.items()}
    return members, pods, sorted(set(deleted))


def acting_passes(world: World) -> Iterator[tuple[World, int]]:
    """The world before each pass that does something new, and how many things."""
    known = set()
    for _ in range(240):
        before = copy.deepcopy(world)
        kinds = tuple(type(action) for action in world.step().actions)
        if kinds and kinds not in known:
            known.add(kinds)
            yield before, len(kinds)
        if over(world) and world.replicas(Pool.SUBSCRIBER) == asked_for(world):
            return
    raise AssertionError("it never ends")


@pytest.mark.parametrize("ask", [shrink, restart], ids=["leave", "restart"])
def test_killed_at_any_step_of_a_drain_it_ends_the_same(ask: Callable[[World], None]) -> None:
    undisturbed = begun(ask)
    steps = [(b, n) for b, count in acting_passes(undisturbed) for n in range(count + 1)]
    wanted = outcome(undisturbed)
    assert len(steps) >= 10
    for before, done in steps:
        world = copy.deepcopy(before)
        world.step(killed_after=done)
        finish(world)
        assert outcome(world) == wanted, f"killed after {world.log[-1:]}"
        assert not [a for a in world.log if isinstance(a, ForgetNode | JoinNode)]
        if ask is restart:
            again = ["demo-subscriber-2", *EVERYBODY]
            assert sorted(world.deletions) == sorted(again), "every node restarts once"
