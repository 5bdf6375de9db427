"""What is read back of a request: the same again, or nothing, whatever the row holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveconnect.gateway.messages.question import LONGEST_TIMEOUT
from liveconnect.gateway.remembered import encode_reply, read_remembered
from liveconnect.gateway.replies import Reply

NOW = 1_000_000.0
TOKEN = "0f" * 16
REPLY = Reply("clients/p/replies/0/x", b"\xff", "text/plain", b"0-x", (("a", "b"),))
ROW: tuple[Any, ...] = (TOKEN.encode(), b"shop", b"phone", 30, NOW + 30, 1, 0.0, None)

_values = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.binary(max_size=40)
)


def with_field(place: int, value: Any) -> tuple[Any, ...]:
    return (*ROW[:place], value, *ROW[place + 1 :])


def test_the_same_again() -> None:
    one = read_remembered(with_field(7, encode_reply(REPLY)), NOW)
    assert one is not None
    assert (one.token, one.caller, one.client_id) == (TOKEN, "shop", "phone")
    assert (one.timeout, one.expires, one.acknowledged, one.answer) == (30, NOW + 30, True, REPLY)
    assert read_remembered(ROW, NOW) is not None


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, b"F" * 32), (0, b"0" * 31), (0, b"0" * 32 + b"\n"), (0, None), (0, b"\xff" * 32),
        (1, b"\xff"), (1, None), (2, 7),
        (3, 0), (3, LONGEST_TIMEOUT + 1), (3, b"30"), (3, 1.5),
        (4, None), (4, b"soon"), (4, -1.0), (4, float("-inf")),
        (6, None), (6, b"x"),
        (7, b""), (7, b"\xc1"), (7, "text"), (7, 5), (7, b"\x91" * 5000),
    ],
)  # fmt: skip
def test_what_is_no_request(place: int, value: Any) -> None:
    assert read_remembered(with_field(place, value), NOW) is None


def test_a_clock_that_was_set_back_makes_nobody_wait_longer() -> None:
    earlier = read_remembered(ROW, NOW - 86400)
    assert earlier is not None
    assert earlier.expires == NOW - 86400 + 30
    endless = read_remembered(with_field(4, float("inf")), NOW)
    assert endless is not None
    assert endless.expires == NOW + 30


@given(st.lists(_values, max_size=10))
def test_any_row(row: list[Any]) -> None:
    assert read_remembered(row, NOW) is None


@given(st.integers(0, 7), _values)
def test_any_field(place: int, value: Any) -> None:
    one = read_remembered(with_field(place, value), NOW)
    assert one is None or (one.expires <= NOW + one.timeout and one.finished <= NOW)
