"""Progress of long steps: a line when it begins, a sign of life, a line when it ends."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_HEARTBEAT_SECONDS = 15


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


class StepError(Exception):
    """A step failed; the message says which, and where its output is."""


def run(
    what: str,
    command: Sequence[str],
    *,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a long command with progress; its output goes to a log.

    Raises:
        StepError: it ended with another code than 0.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    begun = last = time.monotonic()
    say(f"  {what} …")
    with log.open("w") as out:
        process = subprocess.Popen(
            list(command), cwd=cwd, env=env, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            while process.poll() is None:
                try:
                    process.wait(1)
                except subprocess.TimeoutExpired:
                    if time.monotonic() - last > _HEARTBEAT_SECONDS:
                        last = time.monotonic()
                        say(f"  {what} … {last - begun:.0f} s")
        except BaseException:
            process.terminate()
            process.wait(10)
            raise
    if process.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        print(tail, file=sys.stderr)
        raise StepError(f"{what} failed (exit {process.returncode}); all of its output: {log}")
    say(f"  {what}: {time.monotonic() - begun:.0f} s")
