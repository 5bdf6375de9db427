"""Messages a second, by caller."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from liveconnect.api.operands import Publisher
from liveconnect.gateway.quotas import Quotas, share_of


def quotas(rate: int | None, pods: int = 1) -> Quotas:
    caller = Publisher(subject="me", publish=["#"], messages_per_second=rate)
    return Quotas([caller], 0.0, pods)


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


QUOTAS = st.integers(1, 1_000_000)
PODS = st.integers(1, 50)


@given(QUOTAS, PODS)
def test_all_shares_together_are_the_quota(quota: int, pods: int) -> None:
    share = share_of(quota, pods)
    assert share.rate * pods == pytest.approx(quota)
    assert share.burst * pods <= max(quota, pods) * (1 + 1e-9)


@given(QUOTAS, PODS)
def test_every_pod_lets_single_messages_through(quota: int, pods: int) -> None:
    made = quotas(quota, pods)
    assert made.take("me", 1, 0.0) == 0
    assert share_of(quota, pods).burst >= 1


@given(QUOTAS, PODS)
def test_a_pod_more_is_never_more_for_each(quota: int, pods: int) -> None:
    fewer, more = share_of(quota, pods), share_of(quota, pods + 1)
    assert more.rate < fewer.rate
    assert more.burst <= fewer.burst


COMING_AND_GOING = st.lists(
    st.tuples(st.floats(0, 0.5), PODS, st.integers(1, 3)), min_size=1, max_size=200
)


@given(st.integers(1, 1000), COMING_AND_GOING)
def test_the_share_counts_from_the_moment_that_a_pod_comes_or_goes(
    quota: int, changes: list[tuple[float, int, int]]
) -> None:
    """Never more than every moment's own rate, whatever comes and goes, and the largest burst."""
    made, now, pods, passed, allowed = quotas(quota), 0.0, 1, 0, 0.0
    for pause, others, messages in changes:
        now += pause
        allowed += pause * share_of(quota, pods).rate
        pods = others
        made.share_among(pods, now)
        if made.take("me", messages, now) == 0:
            passed += messages
    assert passed <= allowed + share_of(quota, 1).burst + 3 + 1e-6


@given(st.integers(1, 1000), PODS, PODS, st.integers(1, 500))
def test_who_waits_as_long_as_told_is_let_in_unless_pods_come(
    quota: int, before: int, after: int, messages: int
) -> None:
    made = quotas(quota, before)
    made.take("me", messages, 0.0)
    told = made.take("me", messages, 0.0)
    assume(told > 0)
    made.share_among(after, 0.0)
    wait = made.take("me", 1, 0.0)
    assert told <= wait if after > before else wait <= told
    assert made.take("me", 1, wait + 1e-6) == 0


def test_what_a_pod_takes_over_begins_at_once_and_is_no_burst() -> None:
    made = quotas(10, pods=2)
    assert [made.take("me", 1, 0.0) for _ in range(5)] == [0.0] * 5
    assert made.take("me", 1, 0.0) == pytest.approx(1 / 5)
    made.share_among(1, 0.0)
    assert made.take("me", 1, 0.0) == pytest.approx(1 / 10)


def test_a_quota_smaller_than_the_pods_is_kept_to() -> None:
    """One message a second over four pods: each lets one through in four seconds."""
    made = quotas(1, pods=4)
    assert made.take("me", 1, 0.0) == 0
    assert made.take("me", 1, 0.0) == pytest.approx(4)
    assert made.take("me", 1, 4.0) == 0


def test_nobody_with_a_quota_is_nothing_to_share() -> None:
    assert not quotas(None)
    assert quotas(1)
