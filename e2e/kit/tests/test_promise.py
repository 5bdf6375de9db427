"""What counts as a promise kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2e.kit.promise import broken, repeated

_SENT = ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("arrived", "qos", "fault"),
    [
        (["a", "b", "c"], 1, "never arrived: d"),
        (["a", "b", "c", "d", "x"], 1, "never published: x"),
        (["a", "c", "b", "d"], 1, "out of order: c, b"),
        (["a", "b", "b", "c", "d"], 2, "more than once: b"),
        ([], 2, "never arrived: a, b, c, d"),
    ],
)
def test_what_is_broken_is_named(arrived: list[str], qos: int, fault: str) -> None:
    assert broken(_SENT, arrived, qos) == [fault]


def test_a_window_that_comes_again_breaks_no_promise_of_qos_1() -> None:
    arrived = ["a", "b", "c", "b", "c", "d"]
    assert broken(_SENT, arrived, 1) == []
    assert repeated(arrived) == 2
    assert broken(_SENT, arrived, 2) == ["more than once: b, c"]


def test_many_are_counted_not_listed() -> None:
    (said,) = broken([str(n) for n in range(9)], [], 1)
    assert said == "never arrived: 0, 1, 2, 3, 4 and 4 more"


@given(st.lists(st.text(max_size=3), unique=True), st.data())
def test_any_loss_is_seen(sent: list[str], data: st.DataObject) -> None:
    kept = data.draw(st.lists(st.booleans(), min_size=len(sent), max_size=len(sent)))
    arrived = [m for m, stays in zip(sent, kept, strict=True) if stays]
    for qos in (1, 2):
        assert bool(broken(sent, arrived, qos)) is not all(kept)
