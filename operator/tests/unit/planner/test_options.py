"""Options that running nodes take over, in the simulated world."""

from __future__ import annotations

import pytest

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.actions import SetOptions
from liveconnect.controller.model.liveoptions import LIVE_OPTIONS, is_taken
from liveconnect.controller.model.observed import Memory
from tests.unit.planner.simulation import World, parse


def configured(cluster: Cluster, config: dict[str, str]) -> Cluster:
    spec = cluster.spec
    broker = spec.broker.model_copy(update={"config": config})
    changed = spec.model_copy(update={"broker": broker})
    return cluster.model_copy(update={"generation": cluster.generation + 1, "spec": changed})


def settled(config: dict[str, str] | None = None) -> World:
    world = World(configured(parse({"replicas": 2}), config or {}))
    world.settle()
    world.log.clear()
    world.deletions.clear()
    return world


def run(world: World, seconds: int = 60) -> None:
    for _ in range(seconds):
        world.step()


def test_a_live_option_reaches_every_node_and_restarts_none() -> None:
    world = settled()
    world.cluster = configured(world.cluster, {"max_client_id_size": "30"})
    run(world)
    assert {o["max_client_id_size"] for o in world.options.values()} == {"30"}
    assert len(world.options) == 4
    assert world.deletions == []
    assert len([a for a in world.log if isinstance(a, SetOptions)]) == 4


def test_one_that_is_taken_away_gets_its_default_again() -> None:
    world = settled({"max_client_id_size": "30"})
    world.cluster = configured(world.cluster, {})
    run(world)
    assert {o["max_client_id_size"] for o in world.options.values()} == {"100"}
    assert world.deletions == []


def test_another_option_is_rolled_out() -> None:
    world = settled()
    world.cluster = configured(world.cluster, {"topic_max_depth": "12"})
    run(world)
    assert len(world.deletions) == 4


def test_a_new_process_is_told_again() -> None:
    """Its file may be older than the object: the kubelet brings a changed one within a minute."""
    world = settled({"max_client_id_size": "30"})
    world.pods["demo-subscriber-1"].uid = "another"
    run(world, 3)
    assert [a.pod for a in world.log if isinstance(a, SetOptions)] == ["demo-subscriber-1"]


def test_another_operator_says_the_same_once() -> None:
    world = settled({"max_client_id_size": "30"})
    world.memory = Memory(applied=world.memory.applied)
    run(world, 5)
    assert len([a for a in world.log if isinstance(a, SetOptions)]) == 4


def test_the_event_says_what_and_only_for_a_change() -> None:
    world = World(parse({"replicas": 1}, publishers=1))
    said = []
    for _ in range(60):
        said += [e.message for e in world.step().events if e.reason == "OptionsSet"]
    assert said == []
    world.cluster = configured(world.cluster, {"max_message_rate": "7"})
    for _ in range(5):
        said += [e.message for e in world.step().events if e.reason == "OptionsSet"]
    assert said == [
        "demo-publisher-0 takes over without a restart: max_message_rate = 7",
        "demo-subscriber-0 takes over without a restart: max_message_rate = 7",
    ]


@pytest.mark.parametrize(
    ("wanted", "shown", "taken"),
    [
        ("100", 100, True),
        ("100", 99, False),
        ("on", "on", True),
        ("on", "off", False),
        ("1w", 604800, True),
        ("never", 0, True),
        ("random", "prefer_local", False),
    ],
)
def test_what_show_says_is_understood(wanted: str, shown: object, taken: bool) -> None:
    assert is_taken(wanted, shown) is taken


def test_nodes_keep_what_the_operators_own_defaults_are() -> None:
    """Not VerneMQ's: messages of any size, sessions that never end."""
    world = settled()
    assert {o["max_message_size"] for o in world.options.values()} == {"4456448"}
    assert {o["persistent_client_expiration"] for o in world.options.values()} == {"1w"}


def test_defaults_are_those_of_the_recorded_table() -> None:
    assert LIVE_OPTIONS["max_offline_messages"] == "1000"
    assert LIVE_OPTIONS["coordinate_registrations"] == "on"
