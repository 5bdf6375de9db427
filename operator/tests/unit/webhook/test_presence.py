"""How events change a record."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveconnect.webhook.presence import SKEW_MS, Event, EventKind, Record, State, transition

FAR = 10**9


def event(kind: EventKind, node: str, at: int) -> Event:
    return Event(kind, "phone", node, at)


def registered(node: str, at: int) -> Event:
    return event(EventKind.REGISTERED, node, at)


def ended(node: str, at: int) -> Event:
    return event(EventKind.ENDED, node, at)


def after(*events: Event, record: Record | None = None) -> Record:
    for entry in events:
        record = transition(record, entry, FAR)
    assert record is not None
    return record


def test_connect_and_disconnect() -> None:
    online = after(registered("a", 1000))
    assert (online.state, online.node, online.since, online.sessions) == (
        State.ONLINE,
        "a",
        1000,
        1,
    )
    offline = after(ended("a", 5000), record=online)
    assert (offline.state, offline.node, offline.since, offline.last_seen) == (
        State.OFFLINE,
        "a",
        5000,
        5000,
    )


def test_take_over_by_another_node_the_old_ones_end_comes_last() -> None:
    record = after(registered("a", 1000), registered("b", 9000), ended("a", 9006))
    assert (record.state, record.node, record.since) == (State.ONLINE, "b", 9000)


def test_take_over_on_the_same_node_the_old_end_comes_first() -> None:
    record = after(registered("a", 1000), ended("a", 9000), registered("a", 9100))
    assert (record.state, record.node, record.since, record.sessions) == (
        State.ONLINE,
        "a",
        9100,
        2,
    )


def test_take_over_there_and_back() -> None:
    record = after(
        registered("a", 1000),
        registered("b", 9000),
        ended("a", 9010),
        registered("a", 9900),
        ended("b", 9910),
    )
    assert (record.state, record.node) == (State.ONLINE, "a")


def test_a_persistent_session_that_goes_offline_and_then_expires() -> None:
    record = after(registered("a", 1000), ended("a", 9000), ended("a", 70_000))
    assert (record.state, record.since) == (State.OFFLINE, 9000)


def test_waking_up_says_nothing() -> None:
    record = after(registered("a", 1000))
    assert transition(record, event(EventKind.WOKEN, "b", 5000), FAR) is record
    assert transition(None, event(EventKind.WOKEN, "b", 5000), FAR) is None


def test_an_end_without_a_beginning_is_unknown_and_the_beginning_settles_it() -> None:
    record = after(ended("a", 9000))
    assert record.state is State.UNKNOWN
    late = after(registered("a", 1000), record=record)
    assert (late.state, late.since) == (State.OFFLINE, 9000)
    new = after(registered("a", 9500), record=record)
    assert (new.state, new.since) == (State.ONLINE, 9500)


def test_a_beginning_that_arrives_after_its_end_does_not_bring_the_client_back() -> None:
    record = after(registered("a", 1000), ended("b", 9000), registered("b", 8000))
    assert (record.state, record.node, record.since) == (State.OFFLINE, "b", 9000)


def test_an_end_that_arrives_after_the_next_beginning_on_the_same_node_is_the_old_ones() -> None:
    record = after(registered("a", 1000), registered("a", 9000), ended("a", 8000))
    assert record.state is State.ONLINE


def test_an_older_beginning_does_not_replace_a_newer_one() -> None:
    record = after(registered("b", 9000), registered("a", 1000))
    assert (record.state, record.node, record.sessions) == (State.ONLINE, "b", 1)


@pytest.mark.parametrize("skew", [-SKEW_MS, -1, 0, 1, SKEW_MS])
def test_clocks_that_differ_a_little_do_not_turn_arrivals_around(skew: int) -> None:
    again = after(registered("a", 1000), ended("a", 9000 + skew), registered("a", 9000))
    assert again.state is State.ONLINE
    gone = after(registered("a", 9000), ended("a", 9000 + skew))
    assert gone.state is State.OFFLINE


def test_an_event_from_the_future_is_of_now() -> None:
    record = transition(None, registered("a", 99_000), 5000)
    assert record is not None
    assert record.since == 5000


EVENTS = st.lists(
    st.builds(
        event,
        st.sampled_from(EventKind),
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 40).map(lambda tick: tick * 300),
    ),
    max_size=12,
)


@given(events=EVENTS)
def test_an_event_twice_in_a_row_is_an_event_once(events: list[Event]) -> None:
    once: Record | None = None
    for entry in events:
        once = transition(once, entry, FAR)
        assert transition(once, entry, FAR) == once


@given(events=EVENTS, last=st.integers(0, 40))
def test_a_new_session_is_always_online_there(events: list[Event], last: int) -> None:
    record: Record | None = None
    for entry in events:
        record = transition(record, entry, FAR)
    newest = 40 * 300 + 1 + last
    online = after(registered("z", newest), record=record)
    assert (online.state, online.node) == (State.ONLINE, "z")
    assert after(ended("z", newest + 1), record=online).state is State.OFFLINE


@given(data=st.data())
def test_recorded_order_always_ends_with_the_truth(data: st.DataObject) -> None:
    """Sessions follow each other on any nodes; ends arrive as VerneMQ sends them."""
    nodes = data.draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=6))
    record: Record | None = None
    at = 1000
    for old, new in zip([None, *nodes[:-1]], nodes, strict=True):
        at += 10_000
        if old == new:
            record = after(ended(new, at), registered(new, at + 100), record=record)
        elif old is None:
            record = after(registered(new, at), record=record)
        else:
            record = after(registered(new, at), ended(old, at + 6), record=record)
        assert (record.state, record.node) == (State.ONLINE, new)
    assert record is not None
    assert record.sessions == len(nodes)
    assert after(ended(nodes[-1], at + 10_000), record=record).state is State.OFFLINE


@given(data=st.data())
def test_arrival_in_any_order_ends_the_same_when_times_tell_them_apart(
    data: st.DataObject,
) -> None:
    """One session here, then one there, each with its end: 6 s apart, in any order of arrival."""
    first, second = data.draw(st.sampled_from([("a", "b"), ("a", "a")]))
    events = [
        registered(first, 6000),
        ended(first, 12_000),
        registered(second, 18_000),
    ]
    record = after(*data.draw(st.permutations(events)))
    assert (record.state, record.node) == (State.ONLINE, second)
