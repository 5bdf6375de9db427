"""`python -m e2e.bench [ROW…]`: measure all rows, or some."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from e2e.bench import report
from e2e.bench.registry import ROWS
from e2e.providers import system
from e2e.providers.paths import ROOT
from e2e.providers.progress import StepError, say

_OUTPUT = ROOT / "build" / "bench.json"
_PACKAGES = {name: system.TEST_PACKAGES[name] for name in ("mosquitto", "redis-server", "wrk")}


def main(
    rows: Annotated[
        list[str] | None, typer.Argument(help="Ids; all rows if none is given.")
    ] = None,
    output: Annotated[Path, typer.Option(help="The JSON file.")] = _OUTPUT,
) -> None:
    """Measure against peers in the same run."""
    wanted = rows or list(ROWS)
    unknown = [name for name in wanted if name not in ROWS]
    if unknown:
        raise typer.BadParameter(f"no such row: {unknown[0]}; there are {', '.join(ROWS)}")
    try:
        system.ensure(_PACKAGES)
    except StepError as error:
        say(f"bench: {error}")
        raise typer.Exit(1) from None
    if len(os.sched_getaffinity(0)) < 2:
        say("bench: one core only: load and peers share it, the ratios are of little use")
    results, failed = [], []
    for name in wanted:
        say(f"  {name}")
        try:
            results.append(ROWS[name].result())
        except Exception as error:  # noqa: BLE001 - one row that fails must not cost the others
            failed.append(name)
            say(f"    {name} cannot be measured: {type(error).__name__}: {error}")
    report.show(results)
    report.write(results, output)
    say(f"bench: {output}")
    if failed:
        say(f"bench: not measured: {', '.join(failed)}")
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
