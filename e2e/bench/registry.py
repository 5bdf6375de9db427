"""All rows, in the table's order."""

from __future__ import annotations

from e2e.bench import auth, gateway
from e2e.bench.row import Row

ROWS: dict[str, Row] = {row.id: row for row in (auth.FRESH, auth.REPEAT, gateway.ROW)}
