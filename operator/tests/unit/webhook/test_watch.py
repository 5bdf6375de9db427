"""When a session list is read, and what it proves."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from liveconnect.webhook.presence import (
    GRACE_MS,
    LOOK_MS,
    Event,
    EventKind,
    Look,
    Open,
    Record,
    Sighting,
    State,
    Watch,
    compare,
    transition,
)

AT = 1_000_000


def look(at: int, online: int = 10, connections: int = 10, **more: int) -> Look:
    sighting = Sighting(connections, more.get("uptime", at), more.get("errors", 0))
    return Look(at, {"a": sighting}, ["a"], {"a": online}, {}, str(more.get("suspicions", 0)))


def unanswered(at: int, members: list[str] | None) -> Look:
    return Look(at, {}, members, {"a": 3}, {})


def settled() -> Watch:
    watch = Watch()
    assert watch.decide(look(AT)).lists == ("a",)
    watch.noted("a", AT, repaired=0, left=Open())
    assert watch.decide(look(AT + LOOK_MS)).lists == ()
    return watch


def test_a_new_watch_suspects_everybody_and_then_looks_away() -> None:
    settled()


def test_signs() -> None:
    later = AT + 2 * LOOK_MS
    assert settled().decide(look(later, errors=1)).lists == ("a",)
    assert settled().decide(look(later, uptime=5)).lists == ("a",)
    assert settled().decide(look(later, suspicions=1)).lists == ("a",)
    assert settled().decide(look(later)).lists == ()


def test_a_difference_counts_when_it_lasts() -> None:
    watch = settled()
    assert watch.decide(look(AT + 2 * LOOK_MS, connections=9)).lists == ()
    assert watch.decide(look(AT + 3 * LOOK_MS, connections=11)).lists == ()
    assert watch.decide(look(AT + 4 * LOOK_MS, connections=12)).lists == ("a",)


def play(watch: Watch, at: int, differences: list[int]) -> list[int]:
    """Look every other second; lists find nothing. Return which looks ordered one."""
    read = []
    for index, difference in enumerate(differences):
        if watch.decide(look(at + index * LOOK_MS, BIG, BIG + difference)).lists:
            watch.noted("a", at + index * LOOK_MS, repaired=0, left=Open())
            read.append(index)
    return read


BIG = 40_000


def test_what_a_list_explained_is_no_sign_and_excuses_none() -> None:
    assert play(Watch(), AT, [0, 2, 2, 2, 2, 2]) == [0, 2]
    assert play(Watch(), AT, [0, 2, 2, 2, 2, 3, 3]) == [0, 2, 6]
    assert play(Watch(), AT, [0, 2, 2, 2, 2, 1, 1]) == [0, 2, 6]


def test_what_differs_while_a_list_is_read_is_not_explained_by_it() -> None:
    watch = Watch()
    for step, more in enumerate((1, 2, 2)):
        watch.decide(look(AT + step * LOOK_MS, BIG, BIG + more))
    watch.noted("a", AT, repaired=0, left=Open())
    assert watch.decide(look(AT + 3 * LOOK_MS, BIG, BIG + 2)).lists == ("a",)


def test_differences_that_come_and_go_are_read_less_and_less_often() -> None:
    read = play(Watch(), AT, [0, 0, 1, 1, 3, 3] * 30)
    pauses = [after - before for before, after in pairwise(read)]
    assert pauses[-1] >= BIG / 1000 / 2
    assert len(read) <= 180 / (BIG / 1000 / 2) + 6


@given(
    before=st.lists(st.integers(-3, 3), max_size=60),
    steady=st.integers(-3, 3),
    more=st.integers(-3, 3).filter(bool),
)
def test_after_any_past_a_new_difference_is_a_sign_once_it_was_steady(
    before: list[int], steady: int, more: int
) -> None:
    sweep, settling = BIG // 1000 // 2, 6
    past = [*before, *[steady] * (sweep + settling)]
    watch = Watch()
    play(watch, AT, past)
    read = play(watch, AT + len(past) * LOOK_MS, [steady + more] * 4)
    assert read, "two looks, and the least time between two lists"


def test_everything_is_read_from_time_to_time() -> None:
    assert settled().decide(look(AT + 10_000)).lists == ("a",)
    watch = Watch()
    big = 50_000
    watch.decide(look(AT, big, big))
    watch.noted("a", AT, repaired=0, left=Open())
    assert watch.decide(look(AT + 49_000, big, big)).lists == ()
    assert watch.decide(look(AT + 50_000, big, big)).lists == ("a",)


def test_a_big_list_is_not_read_at_every_look() -> None:
    watch = Watch()
    watch.decide(look(AT, 50_000, 50_000))
    watch.noted("a", AT, repaired=1, left=Open())
    assert watch.decide(look(AT + LOOK_MS, 50_000, 50_000, errors=1)).lists == ()
    assert watch.decide(look(AT + 3 * LOOK_MS, 50_000, 50_000, errors=1)).lists == ("a",)


def test_a_node_is_lost_after_two_looks_and_gone_when_nobody_lists_it() -> None:
    watch = settled()
    first = watch.decide(unanswered(AT + 4000, ["a"]))
    assert first.lost == ()
    second = watch.decide(unanswered(AT + 6000, ["a"]))
    assert (second.lost, second.lost_since) == (("a",), AT + 4000)
    assert watch.decide(unanswered(AT + 8000, None)).lost == ("a",)
    assert watch.decide(unanswered(AT + 10_000, ["b"])).gone == ("a",)


def test_missing_once_proves_nothing() -> None:
    first = compare(["x"], ["x", "y"], ["z"], frozenset())
    assert not first.seen
    assert not first.absent
    assert first.missing == {"y", "z"}
    second = compare(["x", "new"], ["x", "y"], [], frozenset({"y", "z"}))
    assert (second.seen, second.absent) == (("new",), ("y",))
    assert not second.missing


def test_what_the_hooks_settle_meanwhile_is_not_open_any_more() -> None:
    online = Record("y", State.ONLINE, "a", 1, 1, registered_at=1)
    gone = Record("y", State.OFFLINE, "a", 1, 1)
    left = Open(frozenset({"y"}), frozenset({"w"}))
    assert left.unsettled("a", {"y": online}) == left
    assert not left.unsettled("a", {"y": gone, "w": Record("w", State.ONLINE, "a", 1, 1)})


def test_evidence_is_of_the_moment_when_reading_began() -> None:
    online = Record("x", State.ONLINE, "a", AT, AT, registered_at=AT)
    absent = Event(EventKind.ABSENT, "x", "a", AT + GRACE_MS - 1)
    assert transition(online, absent, AT * 2) is online
    later = transition(online, Event(EventKind.ABSENT, "x", "a", AT + GRACE_MS), AT * 2)
    assert later is not None
    assert later.state is State.OFFLINE
    seen = Event(EventKind.SEEN, "x", "b", AT + GRACE_MS - 1)
    assert transition(online, seen, AT * 2) is online


def test_a_node_that_told_of_a_client_since_is_not_lost_to_it() -> None:
    online = Record("x", State.ONLINE, "a", AT, AT, registered_at=AT)
    assert transition(online, Event(EventKind.LOST, "x", "a", AT - 1), AT * 2) is online
    lost = transition(online, Event(EventKind.LOST, "x", "a", AT), AT * 2)
    assert lost is not None
    assert lost.state is State.UNKNOWN
    ended = transition(lost, Event(EventKind.ENDED, "x", "a", AT + 5), AT * 2)
    assert ended is not None
    assert ended.state is State.OFFLINE
