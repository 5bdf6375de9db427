"""The cluster's own cgroup in every hierarchy: all pods are below it, and it goes with them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def _hierarchies() -> list[Path]:
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    return [
        p for p in _ROOT.iterdir() if p.is_dir() and not p.is_symlink() and (p / "tasks").exists()
    ]


#: What all pods together weigh, by the file's name in versions 1 and 2: eight times the default,
#: which every process outside of cgroups has for itself. A busy machine starved pods otherwise.
_WEIGHT = {"cpu.shares": "8192", "cpu.weight": "800"}


def make(name: str) -> None:
    """Make the cgroup; cpusets begin empty in version 1 and must be filled."""
    for hierarchy in _hierarchies():
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (group / file).exists() and (hierarchy / file).exists():
                (group / file).write_text((hierarchy / file).read_text())
        for file, weight in _WEIGHT.items():
            if (group / file).exists():
                (group / file).write_text(weight)


def groups(name: str) -> list[Path]:
    """The cgroup wherever it exists: containerd makes it in a version 2 hierarchy beside, too."""
    hierarchies = [_ROOT, *(p for p in _ROOT.iterdir() if p.is_dir() and not p.is_symlink())]
    return [h / name for h in hierarchies if (h / name).is_dir()]


def processes(name: str) -> set[int]:
    """Everything that runs in it."""
    found: set[int] = set()
    for group in groups(name):
        for file in group.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                found.update(int(pid) for pid in file.read_text().split())
    return found


def remove(name: str) -> None:
    """Kill what still runs in it, then remove it, children first."""
    deadline = time.monotonic() + 15
    while (alive := processes(name)) and time.monotonic() < deadline:
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    for group in groups(name):
        folders = sorted((p for p in group.rglob("*") if p.is_dir()), key=lambda p: -len(p.parts))
        for folder in [*folders, group]:
            with contextlib.suppress(OSError):
                folder.rmdir()
