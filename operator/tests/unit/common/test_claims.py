"""What is read of claims, whatever they hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveconnect.common.claims import (
    TokenFault,
    check_times,
    groups_of,
    is_for,
    issued_at,
    subject_of,
    token_id_of,
)

ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("value", "groups"),
    [
        (["gold", "beta"], {"gold", "beta"}),
        ("gold", {"gold"}),
        ("", set()),
        ([], set()),
        (None, set()),
        (["gold", 1, None, "", ["x"]], {"gold"}),
        ({"gold": True}, set()),
        (True, set()),
    ],
)
def test_groups(value: Any, groups: set[str]) -> None:
    assert groups_of({"groups": value}, "groups") == groups


def test_there_are_not_too_many_groups() -> None:
    assert len(groups_of({"g": [str(number) for number in range(10_000)]}, "g")) == 256


@given(
    st.dictionaries(st.sampled_from(["exp", "nbf", "iat", "sub", "aud", "jti", "groups"]), ANYTHING)
)
def test_strange_claims_never_crash(claims: dict[str, Any]) -> None:
    fault = check_times(claims, 5, 1000)
    assert fault is None or isinstance(fault, TokenFault)
    assert is_for(claims, frozenset({"x"})) in {True, False}
    assert isinstance(subject_of(claims, "sub"), str | None)
    assert all(isinstance(group, str) for group in groups_of(claims, "groups"))
    assert isinstance(token_id_of(claims), str)
    assert isinstance(issued_at(claims), float)
