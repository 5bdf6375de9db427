"""Gateways that lost their broker do not come back in step."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from liveconnect.gateway.adapters.pause import pause


@given(failures=st.integers(0, 10**6))
def test_pauses_grow_to_five_seconds(failures: int) -> None:
    longest = min(0.1 * 2 ** min(failures, 20), 5)
    assert longest / 2 <= pause(failures) <= longest


def test_pauses_are_spread() -> None:
    """Half of a bound is chance: of many, some come in each quarter of it."""
    quarters = {int((pause(10) - 2.5) / 0.625) for _ in range(400)}
    assert quarters >= {0, 1, 2, 3}
