"""Counters and histograms for the hot path of a process with one thread.

prometheus_client's own take a lock for every number and an object for every series: three times the
price of a look-up, for each hook. These count in plain dictionaries, and are turned into
prometheus_client's families when somebody asks for the metrics.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

MAX_SERIES: Final = 10_000
"""Further ones are not counted: names that a stranger chose must not fill the memory."""


class Tally(Collector):
    """A counter with labels."""

    def __init__(self, name: str, meaning: str, labels: Sequence[str]) -> None:
        """Make it.

        Args:
            name: without `_total`.
            meaning: for people.
            labels: names of the labels.
        """
        self._name = name
        self._meaning = meaning
        self._labels = labels
        self._counts: defaultdict[tuple[str, ...], int] = defaultdict(int)

    def count(self, *values: str) -> None:
        """Count one, with these values of the labels."""
        if values in self._counts or len(self._counts) < MAX_SERIES:
            self._counts[values] += 1

    def collect(self) -> Iterable[Metric]:
        """Give all series."""
        family = CounterMetricFamily(self._name, self._meaning, labels=self._labels)
        for values, count in self._counts.items():
            family.add_metric(values, count)
        yield family


class _Series:
    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.sum = 0.0


class Durations(Collector):
    """A histogram with one label."""

    def __init__(self, name: str, meaning: str, label: str, bounds: Sequence[float]) -> None:
        """Make it.

        Args:
            name: of the metric.
            meaning: for people.
            label: name of the label.
            bounds: upper bounds of the buckets (seconds), growing.
        """
        self._name = name
        self._meaning = meaning
        self._label = label
        self._bounds = tuple(bounds)
        self._series: dict[str, _Series] = {}

    def observe(self, value: str, seconds: float) -> None:
        """Note a duration, for this value of the label."""
        series = self._series.get(value)
        if series is None:
            series = self._series[value] = _Series(len(self._bounds) + 1)
        series.counts[bisect_left(self._bounds, seconds)] += 1
        series.sum += seconds

    def collect(self) -> Iterable[Metric]:
        """Give all series."""
        family = HistogramMetricFamily(self._name, self._meaning, labels=[self._label])
        # untyped, but what prometheus_client itself writes into `le`
        names = [floatToGoString(bound) for bound in (*self._bounds, float("inf"))]  # type: ignore[no-untyped-call]
        for value, series in self._series.items():
            buckets = list(zip(names, accumulate(series.counts), strict=True))
            family.add_metric([value], buckets, series.sum)
        yield family
