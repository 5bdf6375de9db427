"""Background processes of a provider: started in a session of their own, ended by pid only."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

#: Kubernetes collects garbage less often: a small machine has memory, but not the cores.
_SPARING = {"GOGC": "400"}

#: Those of a cluster that is kept are meant to outlive us; Popen warns when it is forgotten.
_OUTLIVING: list[subprocess.Popen[bytes]] = []


class Processes:
    """The processes of one cluster, noted in its state folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "processes"
        self._logs = folder / "logs"
        self._started: dict[int, subprocess.Popen[bytes]] = {}

    def start(
        self, name: str, command: Sequence[str], env: Mapping[str, str] | None = None
    ) -> None:
        """Start a process unless it is running."""
        if self.running(name):
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        with (self._logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                list(command),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **_SPARING, **(env or {})},
                start_new_session=True,
            )
        with contextlib.suppress(OSError):
            # With autogroups (sched(7)) niceness counts within a session only: it is the new one's.
            Path(f"/proc/{process.pid}/autogroup").write_text(str(os.nice(0)))
        self._started[process.pid] = process
        _OUTLIVING.append(process)
        note = {"pid": process.pid, "born": _born(process.pid), "command": command[0]}
        (self._folder / f"{name}.json").write_text(json.dumps(note))

    def running(self, name: str) -> bool:
        """Whether the process that was noted still runs (not just one with its pid)."""
        return self._pid(self._folder / f"{name}.json") is not None

    def any_running(self) -> bool:
        """Whether any process that was noted still runs."""
        return any(self._pid(note) is not None for note in self._folder.glob("*.json"))

    def log_tail(self, name: str, lines: int = 8) -> str:
        """The end of a process's log."""
        path = self._logs / f"{name}.log"
        return (
            "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
            if path.exists()
            else ""
        )

    def stop_all(self) -> None:
        """End everything that was noted, in the reverse order of the start."""
        notes = sorted(self._folder.glob("*.json"), key=lambda p: p.stat().st_mtime, reverse=True)
        for note in notes:
            pid = self._pid(note)
            if pid is not None:
                _end(pid, self._started.get(pid))
            note.unlink()
        for process in self._started.values():
            process.wait(10)

    @staticmethod
    def _pid(note: Path) -> int | None:
        try:
            noted = json.loads(note.read_text())
        except (OSError, ValueError):
            return None
        pid = int(noted["pid"])
        return pid if noted["born"] and _born(pid) == noted["born"] else None


def _born(pid: int) -> str:
    """Start time of a process in clock ticks, empty when it is gone or a zombie.

    With the pid it names a process for good.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _end(pid: int, child: subprocess.Popen[bytes] | None, patience: float = 10.0) -> None:
    born = _born(pid)
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, sign)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if child is not None:
                child.poll()
            if _born(pid) != born:
                return
            time.sleep(0.05)
