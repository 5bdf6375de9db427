"""All rows, in the table's order."""

from __future__ import annotations

from e2e.bench import (
    apply_one,
    auth,
    drain,
    gateway_backlog,
    gateway_fanout,
    gateway_latency,
    gateway_rates,
    presence_memory,
    reconcile,
    storm,
)
from e2e.bench.row import Row

ROWS: dict[str, Row] = {
    row.id: row
    for row in (
        apply_one.ROW,
        *reconcile.ROWS,
        drain.ROW,
        auth.FRESH,
        auth.REPEAT,
        auth.P99,
        storm.STREAM,
        storm.STORM,
        *gateway_rates.ROWS,
        gateway_latency.ROW,
        gateway_backlog.ROW,
        gateway_fanout.ROW,
        presence_memory.ROW,
    )
}
