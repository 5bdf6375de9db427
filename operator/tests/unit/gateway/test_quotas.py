"""Messages a second, by caller."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from liveconnect.api.operands import Publisher
from liveconnect.gateway.quotas import Quotas


def quotas(rate: int | None) -> Quotas:
    return Quotas([Publisher(subject="me", publish=["#"], messages_per_second=rate)], 0.0)


def test_nobody_is_slowed_down_who_has_no_quota() -> None:
    made = quotas(None)
    assert made.take("me", 10**9, 0.0) == 0
    assert quotas(1).take("somebody else", 10**9, 0.0) == 0


def test_a_burst_then_the_rate() -> None:
    made = quotas(10)
    assert [made.take("me", 1, 0.0) for _ in range(10)] == [0.0] * 10
    wait = made.take("me", 1, 0.0)
    assert 0 < wait <= 0.1
    assert made.take("me", 1, wait) == 0
    assert made.take("me", 1, wait) > 0


def test_a_large_batch_is_made_up_for() -> None:
    made = quotas(10)
    assert made.take("me", 100, 0.0) == 0
    wait = made.take("me", 1, 0.0)
    assert 9 < wait < 9.2
    assert made.take("me", 1, wait + 0.001) == 0


@given(
    st.integers(1, 1000),
    st.lists(st.tuples(st.floats(0, 0.5), st.integers(1, 3)), min_size=1, max_size=200),
)
def test_never_more_than_the_rate_and_one_burst(
    rate: int, requests: list[tuple[float, int]]
) -> None:
    made, now, passed = quotas(rate), 0.0, 0
    for pause, messages in requests:
        now += pause
        if made.take("me", messages, now) == 0:
            passed += messages
    assert passed <= rate * (now + 1) + 3 + 1e-6
