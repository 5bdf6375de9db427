"""A row of the table: what is measured, against what, and how good it ought to be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Measurement:
    """Medians of a row's rounds."""

    value: float
    """Ours."""
    peer_value: float
    note: str = ""
    """What else was measured, for people."""
    broken: tuple[str, ...] = ()
    """Promises that ours broke: the goal is not met, whatever the ratio is."""


@dataclass(frozen=True)
class Row:
    """What a row measures."""

    id: str
    what: str
    """What is done, and under which conditions."""
    unit: str
    peer: str
    """What does the same in the same run."""
    goal: float
    """Bound of the ratio of ours to the peer's."""
    measure: Callable[[], Measurement]
    """Run all rounds."""
    less_is_better: bool = False
    """Whether `goal` is an upper bound."""

    def result(self) -> Result:
        """Measure and judge."""
        measured = self.measure()
        ratio = measured.value / measured.peer_value
        reached = ratio <= self.goal if self.less_is_better else ratio >= self.goal
        return Result(
            id=self.id,
            what=self.what,
            value=_rounded(measured.value),
            unit=self.unit,
            peer=self.peer,
            peer_value=_rounded(measured.peer_value),
            ratio=round(ratio, 3),
            goal=self.goal,
            met=reached and not measured.broken,
            note="; ".join([measured.note, *(f"BROKEN: {one}" for one in measured.broken)]),
        )


@dataclass(frozen=True)
class Result:
    """One entry of `build/bench.json`."""

    id: str
    what: str
    value: float
    unit: str
    peer: str
    peer_value: float
    ratio: float
    """Ours divided by the peer's."""
    goal: float
    met: bool
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the entry."""
        return asdict(self)


def _rounded(value: float) -> float:
    """Keep four significant digits; nothing that is measured here has more."""
    return float(f"{value:.4g}")
