"""MQTT's rules of topics, against a reference matcher."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from liveconnect.common.topics import covers, inner_filter, is_valid_filter, is_valid_name

LEVEL = st.sampled_from(["a", "b", "", "$SYS", "$x"])
NAME = st.lists(LEVEL, min_size=1, max_size=5)
FILTER = st.builds(
    lambda levels, rest: [*levels, "#"] if rest else levels,
    st.lists(LEVEL | st.just("+"), min_size=1, max_size=4),
    st.booleans(),
) | st.just(["#"])


def matches(topic_filter: list[str], name: list[str]) -> bool:
    """MQTT 5, 4.7, written down as it reads; shares nothing with the code under test."""
    if name[0].startswith("$") and topic_filter[0] in {"+", "#"}:
        return False
    if not topic_filter:
        return not name

    def rest(f: list[str], n: list[str]) -> bool:
        if f == ["#"]:
            return True
        if not f or not n:
            return not f and not n
        return f[0] in {"+", n[0]} and rest(f[1:], n[1:])

    return rest(topic_filter, name)


@given(rule=FILTER, requested=FILTER, name=NAME)
@example(rule=["a", "#"], requested=["a"], name=["a"])
@example(rule=["#"], requested=["$SYS", "#"], name=["$SYS", "a"])
@example(rule=["+", "#"], requested=["#"], name=["a"])
@example(rule=["a", "+", "#"], requested=["a", "#"], name=["a"])
def test_what_is_covered_shows_nothing_more(
    rule: list[str], requested: list[str], name: list[str]
) -> None:
    assume(covers(rule, requested) and matches(requested, name))
    assert matches(rule, name)


@given(rule=FILTER, name=NAME)
def test_a_name_is_covered_exactly_if_it_is_matched(rule: list[str], name: list[str]) -> None:
    assert covers(rule, name) == matches(rule, name)


@given(rule=FILTER)
def test_a_filter_covers_itself(rule: list[str]) -> None:
    assert covers(rule, rule)


@given(a=FILTER, b=FILTER, c=FILTER)
def test_covering_is_transitive(a: list[str], b: list[str], c: list[str]) -> None:
    assume(covers(a, b) and covers(b, c))
    assert covers(a, c)


@pytest.mark.parametrize(
    ("rule", "requested"),
    [
        ("orders/42/+/status", "orders/42/+/status"),
        ("orders/42/+/status", "orders/42/7/status"),
        ("orders/#", "orders"),
        ("orders/#", "orders/+/x/#"),
        ("+/a", "b/a"),
        ("a//b", "a//b"),
        ("a/+/b", "a//b"),
    ],
)
def test_covered(rule: str, requested: str) -> None:
    assert covers(rule.split("/"), requested.split("/"))


@pytest.mark.parametrize(
    ("rule", "requested"),
    [
        ("orders/42/+/status", "orders/+/+/status"),
        ("orders/42/+/status", "orders/42/#"),
        ("orders/42/+/status", "#"),
        ("orders/42/+/status", "orders/42/7/status/x"),
        ("orders/42/+/status", "orders/421/7/status"),
        ("orders/+", "orders"),
        ("orders/+", "orders/#"),
        ("a/+/#", "a/#"),
        ("#", "$SYS/#"),
        ("+/x", "$SYS/x"),
    ],
)
def test_not_covered(rule: str, requested: str) -> None:
    assert not covers(rule.split("/"), requested.split("/"))


@pytest.mark.parametrize("text", ["a", "/", "a//b", "+", "#", "+/+", "a/#", "/#", "ü/🙂"])
def test_valid_filters(text: str) -> None:
    assert is_valid_filter(text)


@pytest.mark.parametrize("text", ["", "a#", "a/#/b", "a+/b", "#/a", "a\0b", "x" * 65536])
def test_invalid_filters(text: str) -> None:
    assert not is_valid_filter(text)


@pytest.mark.parametrize("text", ["", "a/+", "#", "a\0", "a/b+c", "x" * 65536])
def test_invalid_names(text: str) -> None:
    assert not is_valid_name(text)


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ("a/b", "a/b"),
        ("$share/g/a/+", "a/+"),
        ("$share/g//", "/"),
        ("$share/g/$share/h/a", "$share/h/a"),
        ("$share/g", None),
        ("$share/g/", None),
        ("$share//a", None),
        ("$share/+/a", None),
        ("$share/#", None),
        ("$share", None),
    ],
)
def test_the_filter_inside_a_shared_subscription(text: str, inner: str | None) -> None:
    assert inner_filter(text) == inner
