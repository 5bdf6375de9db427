"""Pacing: bounds, order, and that nobody waits until VerneMQ gives up."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveconnect.webhook.governor import Bucket, Limits, Offenders, Pacer, Priority

HOLD = 3.0
STEP = 0.01


@dataclass
class Client:
    """One who wants in."""

    node: str
    came: float
    priority: Priority = Priority.NORMAL
    went: float | None = None


@dataclass
class Scene:
    """Clients that come and go, on a clock that is moved by hand."""

    pacer: Pacer[Client]
    now: float = 1000.0
    clients: list[Client] = field(default_factory=list)

    def come(self, node: str = "n0", priority: Priority = Priority.NORMAL) -> Client:
        client = Client(node, self.now, priority)
        self.clients.append(client)
        if self.pacer.passes(node, self.now):
            client.went = self.now
        else:
            self.pacer.hold(node, priority, client, self.now)
        return client

    def run(self, seconds: float) -> None:
        """Release whenever something is due, as the gate does."""
        end = self.now + seconds
        while (due := self.pacer.due(self.now)) is not None and due <= end:
            self.now = max(due, self.now + 0.001)
            self.release()
        self.now = max(self.now, end)

    def release(self) -> None:
        for client in self.pacer.release(self.now):
            client.went = self.now

    def waited(self) -> list[float]:
        assert all(client.went is not None for client in self.clients)
        return [(client.went or 0) - client.came for client in self.clients]


def scene(rate: float = 100, **more: float) -> Scene:
    limits = {"node_rate": rate, "full": 10_000, "hold_seconds": HOLD, **more}
    return Scene(Pacer(Limits(**limits)))  # type: ignore[arg-type]  # `full` is a whole number


def test_few_clients_never_wait() -> None:
    stage = scene(rate=100)
    for _ in range(500):
        stage.come()
        stage.run(1 / 90)
    assert max(stage.waited()) == 0


def test_many_at_once_go_at_the_rate() -> None:
    stage = scene(rate=100)
    for _ in range(250):
        stage.come()
    stage.run(10)
    went = sorted(client.went or 0 for client in stage.clients)
    assert went[49] == 1000, "a burst of half a second"
    assert went[249] == pytest.approx(1002, abs=0.05)
    for at in range(0, 200, 10):
        assert sum(1000 + at / 100 <= moment < 1000 + at / 100 + 1 for moment in went) <= 151


def test_the_important_go_first() -> None:
    stage = scene(rate=100)
    for _ in range(60):
        stage.come()
    last = [stage.come(priority=Priority.LAST) for _ in range(20)]
    normal = [stage.come() for _ in range(20)]
    first = [stage.come(priority=Priority.FIRST) for _ in range(20)]
    stage.run(10)
    ends = [max(client.went or 0 for client in group) for group in (first, normal, last)]
    begins = [min(client.went or 0 for client in group) for group in (first, normal, last)]
    assert ends[0] < begins[1]
    assert ends[1] < begins[2]


def test_nobody_is_held_longer_than_vernemq_would_wait() -> None:
    stage = scene(rate=10)
    for _ in range(500):
        stage.come(priority=Priority.LAST)
    stage.run(10)
    assert max(stage.waited()) <= HOLD + 0.01


def test_the_cluster_has_a_bound_of_its_own_and_shares_it() -> None:
    stage = scene(rate=1000, cluster_rate=100)
    for number in range(200):
        stage.come(f"n{number % 2}")
    stage.run(1)
    gone = [client for client in stage.clients if client.went is not None]
    assert len(gone) == pytest.approx(150, abs=3)
    shares = [sum(client.node == f"n{number}" for client in gone) for number in range(2)]
    assert min(shares) > 40


def test_one_nodes_storm_does_not_hold_up_another() -> None:
    stage = scene(rate=100)
    for _ in range(300):
        stage.come("stormy")
    assert stage.come("calm").went == stage.now


def test_a_node_that_has_just_started_gets_a_quarter_at_first() -> None:
    stage = scene(rate=100)
    stage.pacer.booted("n0", 1000)
    for _ in range(150):
        stage.come()
    stage.run(1)
    gone = sum(client.went is not None for client in stage.clients)
    assert gone == pytest.approx(50 + 25, abs=2)


class VerneMq:
    """A node in a storm: 100 connections to us, the others wait for one, for 8 s at most."""

    def __init__(self, stage: Scene, clients: int, connections: int) -> None:
        self.stage = stage
        self.began = stage.now
        self.queue = deque(range(clients))
        self.free = connections
        self.in_flight: list[Client] = []
        self.refused = 0

    def step(self) -> None:
        now = self.stage.now
        done = [client for client in self.in_flight if client.went is not None]
        self.in_flight = [client for client in self.in_flight if client.went is None]
        self.free += len(done)
        while self.queue and self.free:
            self.queue.popleft()
            if now - self.began > 8:
                self.refused += 1
                continue
            self.free -= 1
            self.in_flight.append(self.stage.come())


@pytest.mark.parametrize(("rate", "clients"), [(50, 2000), (200, 5000), (500, 10_000)])
def test_a_storm_gets_in_before_vernemq_gives_up(rate: float, clients: int) -> None:
    stage = scene(rate=rate, full=80)
    node = VerneMq(stage, clients, connections=100)
    while node.queue or node.in_flight:
        node.step()
        stage.run(STEP)
    assert node.refused == 0
    assert max(stage.waited()) <= HOLD + 0.01
    after = [stage.come() for _ in range(int(rate) * 2)]
    assert sum(client.went is None for client in after) > 0, "the bound is in force again"


COMING = st.lists(
    st.tuples(
        st.sampled_from(["n0", "n1", "n2"]), st.sampled_from(list(Priority)), st.floats(0, 0.5)
    ),
    max_size=120,
)


@settings(deadline=None)
@given(
    COMING,
    st.floats(1, 1000),
    st.none() | st.floats(1, 1000),
    st.integers(2, 100),
)
def test_everybody_goes_once_and_in_time(
    coming: list[tuple[str, Priority, float]], rate: float, cluster: float | None, full: int
) -> None:
    limits = Limits(node_rate=rate, cluster_rate=cluster, hold_seconds=HOLD, full=full)
    stage = Scene(Pacer(limits))
    for node, priority, pause in coming:
        stage.come(node, priority)
        stage.run(pause)
    stage.run(2 * HOLD)
    assert stage.pacer.waiting == 0
    assert all(waited <= HOLD + 0.5 for waited in stage.waited())
    assert list(stage.pacer.release(stage.now)) == []
    stage.pacer.forget(stage.now + 10_000)
    assert stage.pacer.due(stage.now) is None


def test_a_bucket_remembers_its_debt_but_not_for_ever() -> None:
    bucket = Bucket(rate=10, burst=5)
    bucket.refill(0)
    for _ in range(100):
        bucket.take()
    bucket.refill(0.5)
    assert not bucket.ready
    bucket.refill(0.7)
    assert bucket.ready
    bucket.refill(0.1)
    assert bucket.ready, "a clock that goes back changes nothing"


# --- bad clients


def test_who_is_refused_again_and_again_waits_longer_and_longer() -> None:
    offenders = Offenders()
    pauses = [offenders.refused(("phone", 1), 1000.0) for _ in range(8)]
    assert pauses == [0, 0, 0.5, 1, 2, 3, 3, 3]


def test_nobody_else_pays_for_it() -> None:
    """Neither the same client with another token, nor others behind the same address."""
    offenders = Offenders()
    for _ in range(20):
        offenders.refused(("phone", 1), 1000.0)
    assert offenders.refused(("phone", 2), 1000.0) == 0
    assert offenders.refused(("tablet", 1), 1000.0) == 0


def test_it_is_forgotten_and_memory_is_bounded() -> None:
    offenders = Offenders(most=3)
    for _ in range(5):
        offenders.refused("a", 1000.0)
    assert offenders.refused("a", 1061.0) == 0
    for number in range(10):
        offenders.refused(number, 1061.0)
    assert len(offenders._seen) == 3
