"""Anything may happen in any order; no record stays wrong for longer than the bound."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from liveconnect.webhook.presence import SKEW_MS, State
from tests.unit.webhook.presence_world import BOUND_MS, PresenceWorld, bound_ms

CLIENTS = st.sampled_from(["phone-1", "phone-2", "phone-3"])
NODES = st.sampled_from("abc")
REPLICAS = st.integers(0, 1)


class Presence(RuleBasedStateMachine):
    """Clients roam, everything breaks; `PresenceWorld.advance` judges all the time."""

    @initialize(skew=st.integers(0, SKEW_MS // 2), population=st.sampled_from([0, 40_000, 50_000]))
    def begin(self, skew: int, population: int) -> None:
        self.world = PresenceWorld((skew, -skew), population=population)
        self.world.advance(3000)

    @rule(by=st.sampled_from([20, 60, 150, 700, 2500, 6000, 13_000]))
    def time_passes(self, by: int) -> None:
        self.world.advance(by)

    @rule(client=CLIENTS, node=NODES, replica=REPLICAS, late=st.sampled_from([6, 60, 900]))
    def connect(self, client: str, node: str, replica: int, late: int) -> None:
        self.world.connect(client, node, replica, late_ms=late)

    @rule(client=CLIENTS, replica=REPLICAS)
    def disconnect(self, client: str, replica: int) -> None:
        self.world.disconnect(client, replica)

    @rule(client=CLIENTS, replica=REPLICAS, keep_alive=st.sampled_from([500, 5000]))
    def vanish(self, client: str, replica: int, keep_alive: int) -> None:
        self.world.vanish(client, keep_alive, replica)

    @rule(replica=REPLICAS)
    def hear_twice(self, replica: int) -> None:
        self.world.repeat(replica)

    @rule(node=NODES)
    def kill_node(self, node: str) -> None:
        self.world.kill(node)

    @rule(node=NODES)
    def start_node(self, node: str) -> None:
        self.world.start(node)

    @rule(node=NODES)
    def forget_node(self, node: str) -> None:
        self.world.forget(node)

    @rule(node=NODES, strangers=st.integers(0, 3))
    def health_checks_connect(self, node: str, strangers: int) -> None:
        self.world.check_health(node, strangers)

    @rule(replica=REPLICAS)
    def kill_replica(self, replica: int) -> None:
        self.world.kill_replica(replica)

    @rule(replica=REPLICAS)
    def start_replica(self, replica: int) -> None:
        self.world.start_replica(replica)

    @rule()
    def kill_leader(self) -> None:
        self.world.kill_leader()

    @rule()
    def stop_store(self) -> None:
        self.world.stop_store()

    @rule(failed_over=st.booleans())
    def start_store(self, failed_over: bool) -> None:
        self.world.start_store(failed_over=failed_over)

    @invariant()
    def nothing_is_wrong_for_long(self) -> None:
        if hasattr(self, "world"):
            self.world._judge()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.start_store(failed_over=False)
        for replica in (0, 1):
            world.start_replica(replica)
        world.advance(BOUND_MS + 20_000)
        if not all(map(world.is_right, {*world.sessions, *world.store})):
            world.advance(60_000)  # what gave no sign is found by the sweep
        wrong = [world.explain(c) for c in {*world.sessions, *world.store} if not world.is_right(c)]
        assert not wrong


Presence.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestAnyOrder: Any = Presence.TestCase


def settled(*, kill: str = "") -> PresenceWorld:
    world = PresenceWorld()
    world.connect("phone-1", "a", 0)
    world.connect("phone-2", "b", 0)
    world.advance(5000)
    if kill:
        world.kill(kill)
    return world


def states(world: PresenceWorld) -> dict[str, State]:
    return {client: record.state for client, record in world.store.items()}


def test_clients_of_a_killed_node_are_unknown_then_offline_when_it_is_back() -> None:
    world = settled(kill="a")
    world.advance(6000)
    assert states(world) == {"phone-1": State.UNKNOWN, "phone-2": State.ONLINE}
    world.start("a")
    world.advance(6500)
    assert states(world) == {"phone-1": State.OFFLINE, "phone-2": State.ONLINE}


def test_clients_of_a_forgotten_node_are_offline() -> None:
    world = settled(kill="a")
    world.forget("a")
    world.advance(BOUND_MS)
    assert world.store["phone-1"].state is State.OFFLINE


def test_a_hook_that_nobody_answered_is_made_up_for() -> None:
    world = settled()
    world.kill_replica(1)
    world.disconnect("phone-1", 1)
    world.connect("phone-3", "c", 1)
    world.advance(BOUND_MS)
    assert world.store["phone-1"].state is State.OFFLINE
    assert world.store["phone-3"].state is State.ONLINE


@pytest.mark.parametrize("failed_over", [False, True])
def test_presence_catches_up_after_an_outage_of_the_store(failed_over: bool) -> None:
    world = settled()
    world.stop_store()
    world.disconnect("phone-1", 0)
    world.connect("phone-2", "c", 0)
    world.advance(30_000)
    world.start_store(failed_over=failed_over)
    world.advance(BOUND_MS)
    assert world.store["phone-1"].state is State.OFFLINE
    assert (world.store["phone-2"].state, world.store["phone-2"].node) == (State.ONLINE, "c")


def test_hooks_that_are_lost_in_pairs_change_no_count_and_are_made_up_for() -> None:
    world = PresenceWorld(population=40_000)
    world.connect("phone-1", "a", 0)
    world.advance(20_000)
    world.kill_replica(1)
    world.disconnect("phone-1", 1)
    world.connect("phone-2", "a", 1)
    world.advance(BOUND_MS)
    assert states(world) == {"phone-1": State.OFFLINE, "phone-2": State.ONLINE}


def test_what_a_replica_had_not_written_is_made_up_for_when_it_is_back() -> None:
    world = PresenceWorld(population=40_000)
    world.connect("phone-1", "a", 0)
    world.advance(20_000)
    world.disconnect("phone-1", 1)
    world.connect("phone-2", "a", 1)
    world.kill_replica(1)
    world.start_replica(1)
    world.advance(BOUND_MS)
    assert states(world) == {"phone-1": State.OFFLINE, "phone-2": State.ONLINE}


@pytest.mark.parametrize(
    ("sessions", "bound"), [(0, 10_000), (40_000, 10_000), (50_000, 14_000), (100_000, 22_000)]
)
def test_the_bound_is_what_the_adr_says(sessions: int, bound: int) -> None:
    assert bound_ms(sessions) == bound


def roam_so_that_the_wrong_node_wins(world: PresenceWorld) -> None:
    """Two replicas hear of two beginnings in the same millisecond; the first one's is the last."""
    world.connect("phone-1", "b", 1)
    world.connect("phone-1", "a", 0)


def test_health_checks_excuse_no_other_difference() -> None:
    world = PresenceWorld(population=40_000)
    world.advance(3000)
    world.check_health("a", 1)
    world.advance(13_000)
    roam_so_that_the_wrong_node_wins(world)
    world.advance(BOUND_MS)
    assert (world.store["phone-1"].state, world.store["phone-1"].node) == (State.ONLINE, "a")


@pytest.mark.parametrize(("strangers", "quiet_ms"), [(0, 372_000), (1, 390_000)])
def test_a_difference_is_a_sign_after_a_long_silence(strangers: int, quiet_ms: int) -> None:
    """The next sweep is far enough away not to be what finds it."""
    world = PresenceWorld(population=40_000)
    world.check_health("a", strangers)
    world.advance(quiet_ms)
    world.connect("phone-1", "a", 1)
    world.kill_replica(1)
    world.advance(BOUND_MS)
    assert states(world) == {"phone-1": State.ONLINE}


def test_a_difference_is_a_sign_again_when_health_checks_have_become_steady() -> None:
    world = PresenceWorld(population=40_000)
    for strangers in (1, 2, 0, 3, 1, 2):
        world.check_health("a", strangers)
        world.advance(5000)
    world.advance(60_000)
    world.connect("phone-1", "a", 1)
    world.kill_replica(1)
    world.advance(BOUND_MS)
    assert states(world) == {"phone-1": State.ONLINE}


def test_health_checks_cost_no_lists() -> None:
    world = PresenceWorld(population=40_000)
    world.check_health("a", 2)
    world.advance(60_000)
    began = world.lists
    world.advance(120_000)
    assert world.lists - began <= 3 * 3, "no more than the sweeps"


def test_health_checks_that_come_and_go_cost_few_lists() -> None:
    world = PresenceWorld(population=40_000)
    world.advance(60_000)
    began = world.lists
    for strangers in [1, 3, 0, 2] * 10:
        world.check_health("a", strangers)
        world.advance(6000)
    assert world.lists - began <= 3 * 6 + 8, "the sweeps, and some"


def test_an_empty_store_is_filled_from_the_brokers() -> None:
    world = settled()
    world.stop_store()
    world.store.clear()
    world._saved.clear()
    world.start_store(failed_over=True)
    world.advance(BOUND_MS)
    assert {c: r.node for c, r in world.store.items()} == world.sessions
