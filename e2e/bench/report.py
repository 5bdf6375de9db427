"""The table on the terminal and the JSON file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from e2e.bench.row import Result

WIDTH = 80


def table(results: Sequence[Result]) -> Table:
    """Return the results as a table of 80 columns."""
    made = Table(width=WIDTH, title="make bench", title_justify="left", padding=(0, 0, 0, 1))
    made.add_column("row", no_wrap=True)
    made.add_column("ours", justify="right", no_wrap=True)
    made.add_column("peer", justify="right", no_wrap=True)
    made.add_column("unit", no_wrap=True)
    made.add_column("ratio", justify="right", no_wrap=True)
    made.add_column("goal", justify="right", no_wrap=True)
    made.add_column("met", justify="center", no_wrap=True)
    for one in results:
        made.add_row(
            one.id,
            f"{one.value:,g}",
            f"{one.peer_value:,g}",
            one.unit,
            f"{one.ratio:.2f}",
            f"{one.goal:g}",
            "[green]yes[/]" if one.met else "[red]no[/]",
        )
    return made


def show(results: Sequence[Result]) -> None:
    """Print the table and what each row means."""
    console = Console(width=WIDTH, highlight=False)
    console.print(table(results))
    for one in results:
        note = f"; {one.note}" if one.note else ""
        console.print(f"[bold]{one.id}[/]: {one.what}; peer: {one.peer}{note}")


def write(results: Sequence[Result], path: Path) -> None:
    """Write the JSON file: the rows of this run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([one.as_json() for one in results], indent=2) + "\n")
