"""Load over HTTP: wrk (Debian), which needs little of its core."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from e2e.bench.cores import other_core, pinned

_SCRIPT = Path(__file__).parent / "load" / "requests.lua"
_TIMEOUT_SECONDS = 20
"""On a busy machine an answer may take long; it is slow then, not wrong."""


@dataclass(frozen=True)
class Load:
    """What is sent."""

    url: str
    """Scheme, host, port and path."""
    headers: dict[str, str]
    bodies: Path
    """A request body in each line; with only one it is sent again and again."""
    connections: int
    """Each has one request under way."""
    seconds: int
    whole: bool = False
    """Whether `bodies` is one body, lines and all."""
    pause_ms: int = 0
    """How long a connection pauses before each request, on average; 0 is never."""


@dataclass(frozen=True)
class Sent:
    """What came of it."""

    requests: int
    """How many were answered, all with 2xx or 3xx."""
    per_second: float
    p99_ms: float
    """99 of a hundred were answered within this."""


def send(load: Load, folder: Path) -> Sent:
    """Send for a while.

    Raises:
        RuntimeError: something was answered otherwise, or the bodies did not last.
    """
    headers = folder / "headers"
    headers.write_text("".join(f"{name}: {value}\n" for name, value in load.headers.items()))
    command = pinned(
        other_core(), "wrk", "--threads=1", f"--connections={load.connections}",
        f"--duration={load.seconds}s", f"--timeout={_TIMEOUT_SECONDS}s", f"--script={_SCRIPT}",
        load.url,
        "--", str(headers), str(load.bodies), "whole" if load.whole else "lines",
        str(load.pause_ms),
    )  # fmt: skip
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    summary = json.loads(output.rpartition("SUMMARY ")[2])
    if summary["failed"]:
        raise RuntimeError(f"{summary['failed']} of {summary['requests']} requests failed")
    requests = int(summary["requests"])
    per_second = requests / float(summary["microseconds"]) * 1e6
    return Sent(requests, per_second, float(summary["p99_microseconds"]) / 1000)
