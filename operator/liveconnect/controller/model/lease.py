"""Which of several operators acts: rules of a `coordination.k8s.io/v1` Lease, as in client-go.

Nobody compares clocks with anybody: who waits measures, on a clock of its own, how long the Lease
has not changed; who leads stops by itself before others may think that it is gone. So two never act
at once as long as clocks run equally fast, whatever they show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Times:
    """How long things take, in seconds; client-go's order of sizes, for a fail-over below 20 s."""

    duration: float = 12
    """The others wait this long after the last renewal that they saw."""
    renew_within: float = 8
    """A leader that has not renewed for this long stops acting; shorter than `duration`."""
    retry: float = 2
    """Between two attempts, to renew or to become the leader."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What the Lease says."""

    holder: str
    """Identity of the leader; empty when it was given back."""
    duration: float
    """Seconds that its holder asks the others to wait."""
    acquired: datetime
    renewed: datetime
    transitions: int
    """How often the leader changed."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One operator's view. Times without a date are seconds of its own monotonic clock."""

    identity: str
    times: Times
    seen: Record | None = None
    """The Lease as it was last seen."""
    seen_at: float = 0
    """When it was first seen like that."""
    renewed_at: float | None = None
    """When the last successful renewal was begun; None while somebody else leads."""

    def leads(self, at: float) -> bool:
        """Whether it may act."""
        return self.renewed_at is not None and at < self.deadline

    @property
    def deadline(self) -> float:
        """Until when it may act without another renewal."""
        return (self.renewed_at or 0) + self.times.renew_within

    def observe(self, record: Record | None, at: float) -> Candidate:
        """Take in what the Lease says now."""
        mine = record is not None and record.holder == self.identity
        kept = self if mine else replace(self, renewed_at=None)
        return kept if record == self.seen else replace(kept, seen=record, seen_at=at)

    def claim(self, at: float, now: datetime) -> Record | None:
        """What to write to lead or to go on leading; None as long as somebody else does.

        Args:
            at: The time on its own monotonic clock.
            now: The time of day, for those who read the Lease; nothing is decided by it.
        """
        seen = self.seen
        if seen is not None and seen.holder == self.identity:
            return replace(seen, renewed=now, duration=self.times.duration)
        if seen is not None and seen.holder and at < self.seen_at + seen.duration:
            return None
        return Record(
            holder=self.identity,
            duration=self.times.duration,
            acquired=now,
            renewed=now,
            transitions=seen.transitions + 1 if seen is not None else 0,
        )

    def written(self, record: Record, begun: float) -> Candidate:
        """After a write that succeeded; `begun` is when it was sent."""
        return replace(self, seen=record, seen_at=begun, renewed_at=begun)

    def given_back(self, now: datetime) -> Record | None:
        """What to write when it ends, so that another need not wait; None when it does not lead."""
        if self.renewed_at is None or self.seen is None:
            return None
        # client-go's way: an empty holder, and a duration because zero is not allowed.
        return replace(self.seen, holder="", duration=1, renewed=now)
