"""The table's own arithmetic; what it measures is no test."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from e2e.bench import report
from e2e.bench.registry import ROWS
from e2e.bench.rounds import paired
from e2e.bench.row import Measurement, Result, Row

IDS = [
    "apply-one-vs-kubectl",
    "reconcile-1",
    "reconcile-100",
    "reconcile-500",
    "idle-500-writes",
    "idle-500-cpu",
    "memory-per-object",
    "drain-1000-clients",
    "auth-fresh-rs256-vs-go",
    "auth-repeat-vs-go",
    "auth-p99-ms",
    "connect-through-auth",
    "connect-storm-20000",
    "gateway-qos1-vs-paho",
    "gateway-single-qos0",
    "gateway-single-qos1",
    "gateway-single-qos2",
    "gateway-batch-qos0",
    "gateway-batch-qos1",
    "gateway-batch-qos2",
    "gateway-accept-to-device-ms",
    "gateway-backlog-memory",
    "gateway-fanout-10k",
    "presence-memory-100k",
]
FIELDS = ["id", "what", "value", "unit", "peer", "peer_value", "ratio", "goal", "met", "note"]


def row(value: float, peer_value: float, goal: float, *, less_is_better: bool = False) -> Row:
    measurement = Measurement(value, peer_value)
    return Row("id", "what", "msgs/s", "peer", goal, lambda: measurement, less_is_better)


def test_rows() -> None:
    assert list(ROWS) == IDS
    assert all(key == one.id for key, one in ROWS.items())


@pytest.mark.parametrize(
    ("value", "goal", "less_is_better", "met"),
    [
        (90, 0.9, False, True),
        (89, 0.9, False, False),
        (200, 0.9, False, True),
        (150, 1.5, True, True),
        (151, 1.5, True, False),
    ],
)
def test_goals(value: float, goal: float, *, less_is_better: bool, met: bool) -> None:
    result = row(value, 100, goal, less_is_better=less_is_better).result()
    assert (result.ratio, result.met) == (value / 100, met)


def test_a_broken_promise_is_no_goal_met() -> None:
    measurement = Measurement(90, 100, "fast", ("brokers that ended: 1",))
    broken = Row("id", "what", "s", "peer", 1.5, lambda: measurement, less_is_better=True).result()
    assert (broken.ratio, broken.met) == (0.9, False)
    assert broken.note == "fast; BROKEN: brokers that ended: 1"


def test_medians_of_paired_rounds_in_turn() -> None:
    calls: list[str] = []
    values = iter([1000.0, 1, 9, 5])
    peers = iter([2000.0, 2, 4, 3])

    def ours() -> float:
        calls.append("ours")
        return next(values)

    def peer() -> float:
        calls.append("peer")
        return next(peers)

    assert paired(ours, peer, rounds=3, unit="x") == Measurement(5, 3)
    assert calls == ["peer", "ours", "ours", "peer", "peer", "ours", "ours", "peer"]


def results() -> list[Result]:
    return [
        Result(name, "what", 12_345.6, "hooks/s", "Go net/http", 98_765.4, 1.234, 0.9, met=True)
        for name in IDS
    ]


def test_table_has_80_columns() -> None:
    out = io.StringIO()
    Console(file=out, width=report.WIDTH).print(report.table(results()))
    text = out.getvalue()
    assert all(len(line) <= 80 for line in text.splitlines())
    assert all(f" {name} " in text for name in IDS)
    assert "…" not in text


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "build" / "bench.json"
    report.write(results(), path)
    written = json.loads(path.read_text())
    assert [list(one) for one in written] == [FIELDS] * len(IDS)
