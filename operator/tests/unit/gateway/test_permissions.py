"""Who may publish where: default deny, MQTT's matching."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from liveconnect.api.operands import Publisher
from liveconnect.gateway.messages import Permissions

LEVEL = st.sampled_from(["a", "b", ""])
NAME = st.lists(LEVEL, min_size=1, max_size=4)
FILTER = st.builds(
    lambda levels, rest: [*levels, "#"] if rest else levels,
    st.lists(LEVEL | st.just("+"), min_size=1, max_size=4),
    st.booleans(),
) | st.just(["#"])


def matches(topic_filter: list[str], name: list[str]) -> bool:
    """MQTT 5, 4.7, as it reads: of names that do not begin with `$`."""
    if topic_filter == ["#"]:
        return True
    if not topic_filter or not name:
        return not topic_filter and not name
    first, rest = topic_filter[0], topic_filter[1:]
    return first in {"+", name[0]} and matches(rest, name[1:])


def permissions(*rules: tuple[str, str]) -> Permissions:
    return Permissions([Publisher(subject=s, publish=[f]) for s, f in rules])


@given(topic_filter=FILTER, name=NAME)
def test_a_filter_allows_what_it_matches(topic_filter: list[str], name: list[str]) -> None:
    allowed = permissions(("me", "/".join(topic_filter))).allows("me", "/".join(name))
    assert allowed == matches(topic_filter, name)


@given(filters=st.lists(FILTER, max_size=3), name=NAME)
def test_filters_add_up(filters: list[list[str]], name: list[str]) -> None:
    together = permissions(*(("me", "/".join(f)) for f in filters))
    assert together.allows("me", "/".join(name)) == any(matches(f, name) for f in filters)


@given(topic_filter=FILTER, name=NAME)
def test_filters_are_their_callers_alone(topic_filter: list[str], name: list[str]) -> None:
    assert not permissions(("me", "/".join(topic_filter))).allows("you", "/".join(name))


def test_nobody_may_by_default() -> None:
    assert not Permissions([]).allows("", "a")
    assert not Permissions([Publisher(subject="me", publish=[])]).allows("me", "a")


def test_parent_level_and_brokers_topics() -> None:
    mine = permissions(("me", "orders/#"), ("me", "#"))
    assert mine.allows("me", "orders")
    assert not mine.allows("me", "$SYS/x")


def test_nobody_answers_in_a_device_s_name() -> None:
    anywhere = Publisher(subject="shop", publish=["#"])
    bounded = Permissions([anywhere], "clients/+/replies/+/+")
    assert not bounded.allows("shop", "clients/phone/replies/0/1")
    assert bounded.allows("shop", "clients/phone/requests/0/1")
    assert bounded.allows("shop", "clients/phone/replies")
    assert Permissions([anywhere]).allows("shop", "clients/phone/replies/0/1")
