"""Never two leaders, and never none for long."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from liveconnect.controller.model.lease import Candidate, Record, Times

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = Times()


@dataclass
class Server:
    """Keeps the record; refuses a write over something else than was read."""

    record: Record | None = None
    version: int = 0


@dataclass
class Attempt:
    """How one attempt goes: seconds that pass, and what is lost."""

    pause: float
    to_read: float
    from_read: float
    to_write: float
    from_write: float
    is_lost: bool
    is_answer_lost: bool


@dataclass
class Player:
    """A candidate whose clock shows something else than the world's."""

    candidate: Candidate
    ahead: float
    attempts: list[Attempt]
    acted: list[tuple[float, float]] = field(default_factory=list)

    def play(self, server: Server) -> Iterator[float]:
        """Yield the moments in which it does something; the world's time is what was yielded."""
        at = 0.0
        for attempt in self.attempts:
            at += attempt.pause + attempt.to_read
            yield at
            seen, version = server.record, server.version
            at += attempt.from_read
            yield at
            self.candidate = self.candidate.observe(seen, at + self.ahead)
            if self.candidate.renewed_at is None and self.acted:
                begun, ended = self.acted[-1]
                self.acted[-1] = (begun, min(ended, at))
            # The time of day goes on: a renewal that changed nothing could not be seen.
            claim = self.candidate.claim(at + self.ahead, NOW + timedelta(seconds=at))
            if claim is None:
                continue
            sent = at
            at += attempt.to_write
            yield at
            if attempt.is_lost or version != server.version:
                continue
            server.record, server.version = claim, server.version + 1
            at += attempt.from_write
            yield at
            if not attempt.is_answer_lost:
                self.candidate = self.candidate.written(claim, sent + self.ahead)
                self.acted.append((at, self.candidate.deadline - self.ahead))


short = st.floats(0, 1)
delay = short | st.floats(0, 20)
attempts = st.lists(
    st.builds(Attempt, delay, short, short, delay, delay, st.booleans(), st.booleans()),
    max_size=12,
)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.floats(-1e4, 1e4), attempts), min_size=2, max_size=3))
def test_two_never_act_at_once(players: list[tuple[float, list[Attempt]]]) -> None:
    """Whatever is slow, frozen, lost or refused, and whatever the clocks show."""
    server = Server()
    found = [
        Player(Candidate(identity=str(i), times=TIMES), ahead, list(tries))
        for i, (ahead, tries) in enumerate(players)
    ]
    moments: list[tuple[float, int]] = []
    runs = [player.play(server) for player in found]
    for number, run in enumerate(runs):
        if (at := next(run, None)) is not None:
            heapq.heappush(moments, (at, number))
    while moments:
        _, number = heapq.heappop(moments)
        if (at := next(runs[number], None)) is not None:
            heapq.heappush(moments, (at, number))
    spans = sorted((b, e, p.candidate.identity) for p in found for b, e in p.acted if e > b)
    for i, (_, end, who) in enumerate(spans):
        for begin, _, other in spans[i + 1 :]:
            assert who == other or begin >= end, spans


def leader(at: float = 100.0) -> Candidate:
    candidate = Candidate(identity="a", times=TIMES).observe(None, at)
    claim = candidate.claim(at, NOW)
    assert claim is not None
    return candidate.written(claim, at)


def test_the_first_one_leads_until_its_renewal_is_overdue() -> None:
    candidate = leader(at=100)
    assert candidate.leads(100 + TIMES.renew_within - 0.1)
    assert not candidate.leads(100 + TIMES.renew_within)
    assert TIMES.renew_within < TIMES.duration


def test_another_takes_over_when_nothing_changes_for_the_duration() -> None:
    record = leader().seen
    waiting = Candidate(identity="b", times=TIMES).observe(record, 5000)
    again = waiting.observe(record, 5000 + TIMES.duration - 0.1)
    assert again.claim(5000 + TIMES.duration - 0.1, NOW) is None
    claim = again.claim(5000 + TIMES.duration, NOW)
    assert claim is not None
    assert (claim.holder, claim.transitions) == ("b", 1)


def test_a_fail_over_fits_into_twenty_seconds() -> None:
    assert TIMES.duration + 2 * 1.2 * TIMES.retry < 20


def test_what_is_given_back_is_taken_at_once() -> None:
    record = leader().given_back(NOW)
    assert record is not None
    waiting = Candidate(identity="b", times=TIMES).observe(record, 0)
    assert waiting.claim(0, NOW) is not None


def test_who_does_not_lead_gives_nothing_back() -> None:
    waiting = Candidate(identity="b", times=TIMES).observe(leader().seen, 0)
    assert waiting.given_back(NOW) is None


def test_a_renewal_keeps_when_it_was_acquired() -> None:
    candidate = leader()
    later = datetime(2026, 1, 2, tzinfo=UTC)
    renewed = candidate.claim(103, later)
    assert renewed is not None
    assert (renewed.acquired, renewed.renewed, renewed.transitions) == (NOW, later, 0)


def test_a_lease_that_vanishes_ends_the_lead() -> None:
    assert not leader(at=100).observe(None, 101).leads(101)
