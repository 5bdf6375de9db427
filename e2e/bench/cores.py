"""Which core does what: the measured process has one to itself, all others share another."""

from __future__ import annotations

import os


def measured_core() -> int:
    """Return the core of the process that is measured."""
    return min(os.sched_getaffinity(0))


def other_core() -> int:
    """Return the core of load generators and brokers; the same if there is but one."""
    return max(os.sched_getaffinity(0))


def pinned(core: int, *command: str) -> list[str]:
    """Return the command that runs on one core only."""
    return ["taskset", "-c", str(core), *command]
