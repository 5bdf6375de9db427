"""Whoever fails again and again is left alone for a while."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from liveconnect.common.breaker import Breaker


def opened(failures: int = 3) -> Breaker:
    breaker = Breaker(failures=3, pause=1, longest=4)
    for _ in range(failures):
        breaker.failed(100)
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = opened(2)
    assert breaker.allows(100)
    breaker.succeeded()
    breaker.failed(100)
    assert breaker.allows(100), "the row was broken"
    assert not opened(3).allows(100.9)


def test_one_probe_at_a_time() -> None:
    breaker = opened()
    assert breaker.allows(101)
    assert not breaker.allows(101)
    assert breaker.allows(102), "a probe that never ends holds nobody up"


def test_pauses_grow_up_to_a_bound_and_an_answer_ends_them() -> None:
    breaker, now, pauses = opened(), 100.0, []
    for _ in range(5):
        began = now
        while not breaker.allows(now):
            now += 0.25
        pauses.append(now - began)
        breaker.failed(now)
    assert pauses == [1, 2, 4, 4, 4]
    breaker.succeeded()
    assert not breaker.open
    assert breaker.allows(now)


@given(st.lists(st.tuples(st.floats(0, 10), st.booleans()), max_size=60))
def test_it_never_stays_shut(steps: list[tuple[float, bool]]) -> None:
    breaker, now = Breaker(failures=2, pause=1, longest=5), 0.0
    for step, good in steps:
        now += step
        if breaker.allows(now):
            breaker.succeeded() if good else breaker.failed(now)
    assert breaker.allows(now + 5)
