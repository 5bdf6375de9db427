"""Background processes: only ours are ended, and only those that were started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.providers.local import cgroups
from e2e.providers.local.provider import LocalProvider
from e2e.providers.pki import Pki
from e2e.providers.processes import Processes
from e2e.providers.progress import StepError


def test_a_process_is_started_once_and_ended(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    processes.start("sleeper", ["sleep", "60"])
    pid = json.loads((tmp_path / "processes" / "sleeper.json").read_text())["pid"]
    processes.start("sleeper", ["sleep", "60"])
    assert json.loads((tmp_path / "processes" / "sleeper.json").read_text())["pid"] == pid
    assert processes.any_running()
    processes.stop_all()
    assert not processes.any_running()
    assert not Path(f"/proc/{pid}").exists()


def test_another_process_with_a_noted_pid_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    folder = tmp_path / "processes"
    folder.mkdir()
    note = {"pid": stranger.pid, "born": "1", "command": "etcd"}
    (folder / "etcd.json").write_text(json.dumps(note))
    processes = Processes(tmp_path)
    assert not processes.running("etcd")
    processes.stop_all()
    assert stranger.poll() is None
    stranger.terminate()
    stranger.wait(5)


def test_a_process_that_died_is_started_again(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    processes.start("short", ["true"])
    first = json.loads((tmp_path / "processes" / "short.json").read_text())["pid"]
    os.waitpid(first, 0)
    processes.start("short", ["sleep", "60"])
    assert processes.running("short")
    processes.stop_all()


@pytest.mark.skipif(os.geteuid() != 0, reason="cgroups are root's")
def test_a_cgroup_goes_with_what_runs_in_it() -> None:
    name = "lc-provider-test"
    cgroups.make(name)
    child = subprocess.Popen(["sleep", "60"])
    for group in cgroups.groups(name):
        (group / "cgroup.procs").write_text(str(child.pid))
    assert child.pid in cgroups.processes(name)
    cgroups.remove(name)
    assert child.wait(5) != 0
    assert not cgroups.groups(name)


def test_certificates_are_made_once(tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    pki.issue("admin", "admin", ("system:masters",))
    before = (tmp_path / "admin.crt").read_bytes()
    Pki(tmp_path).issue("admin", "admin")
    assert (tmp_path / "admin.crt").read_bytes() == before
    assert (tmp_path / "admin.key").stat().st_mode & 0o077 == 0


def test_without_root_it_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(StepError, match="needs root on Linux; where Docker runs"):
        LocalProvider("nobody").create()


def test_elsewhere_than_on_linux_it_says_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(StepError, match="needs root on Linux"):
        LocalProvider("nobody").create()
