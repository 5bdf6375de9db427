"""Pauses before the next connection, and the baseline of polling."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from e2e.usecases.device import Backoff
from e2e.usecases.orders.polling import View, polling_calls


@given(failures=st.integers(1, 100_000), chance=st.floats(0, 1))
def test_pauses_are_within_their_bound(failures: int, chance: float) -> None:
    assert 0 <= Backoff(1, 120).pause(failures, chance) <= min(2 ** min(failures - 1, 32), 120)


@given(failures=st.integers(1, 100), chance=st.floats(0, 1))
def test_nobody_fights_for_a_session(failures: int, chance: float) -> None:
    assert 60 <= Backoff(1, 120).pause(failures, chance, taken_over=True) <= 120


def test_a_crowd_comes_back_spread() -> None:
    """Full jitter: as many in each tenth of the bound."""
    pauses = [Backoff(60, 60).pause(1, number / 1000) for number in range(1000)]
    for tenth in range(10):
        assert 99 <= sum(6 * tenth <= pause < 6 * (tenth + 1) for pause in pauses) <= 101


def test_polls_are_counted_from_the_opening() -> None:
    assert polling_calls([View(0, 0)], 10) == 1
    assert polling_calls([View(5, 14.9)], 10) == 1
    assert polling_calls([View(5, 15)], 10) == 2
    assert polling_calls([View(0, 1800), View(100, 700)], 10) == 181 + 61
    assert polling_calls([], 10) == 0


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6))), st.floats(0.1, 1e4))
def test_shorter_intervals_never_mean_fewer_calls(
    views: list[tuple[float, float]], every: float
) -> None:
    seen = [View(min(pair), max(pair)) for pair in views]
    assert polling_calls(seen, every) >= polling_calls(seen, every * 2) >= len(seen)
