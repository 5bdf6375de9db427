"""What is counted is shown as prometheus_client itself would show it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from liveconnect.common.tallies import MAX_SERIES, Durations, Tally

BOUNDS = (0.001, 0.25, 1, 5)
HOOKS = st.sampled_from(["a", "b"])


def shown(registry: CollectorRegistry) -> set[str]:
    lines = generate_latest(registry).decode().splitlines()
    return {line for line in lines if "_created" not in line}


@given(st.lists(st.tuples(HOOKS, st.sampled_from(["yes", "no"])), max_size=20))
def test_a_tally_is_a_counter(events: list[tuple[str, str]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    tally = Tally("decisions", "Decisions.", ("hook", "outcome"))
    ours.register(tally)
    counter = Counter("decisions", "Decisions.", ("hook", "outcome"), registry=theirs)
    for event in events:
        tally.count(*event)
        counter.labels(*event).inc()
    assert shown(ours) == shown(theirs)


@given(st.lists(st.tuples(HOOKS, st.floats(0, 10) | st.sampled_from(BOUNDS)), max_size=20))
def test_durations_are_a_histogram(events: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    durations = Durations("seconds", "Time.", "hook", BOUNDS)
    ours.register(durations)
    histogram = Histogram("seconds", "Time.", ["hook"], buckets=BOUNDS, registry=theirs)
    for hook, seconds in events:
        durations.observe(hook, seconds)
        histogram.labels(hook).observe(seconds)
    assert shown(ours) == shown(theirs)


def test_series_are_bounded() -> None:
    registry = CollectorRegistry()
    tally = Tally("x", "X.", ("name",))
    registry.register(tally)
    for number in range(MAX_SERIES + 10):
        tally.count(str(number))
    tally.count("0")
    text = generate_latest(registry).decode()
    assert text.count("x_total{") == MAX_SERIES
    assert 'x_total{name="0"} 2.0' in text
