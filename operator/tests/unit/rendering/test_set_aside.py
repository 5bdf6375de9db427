"""`set-aside.sh`, run by a real shell."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from liveconnect.controller.rendering.engine import render_text


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A volume as VerneMQ leaves it."""
    root = tmp_path / "volume"
    for name in ("leveldb/1/LOG", "swc/meta", "generated.configs/x", "lost+found/y", ".hidden"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def set_aside(volume: Path, life: str) -> str:
    script = volume.parent / "set-aside.sh"
    script.write_text(render_text("set-aside.sh"))
    done = subprocess.run(
        ["sh", str(script), str(volume), life], capture_output=True, text=True, check=True
    )
    assert not done.stderr
    return done.stdout


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_new_life_begins_empty_and_nothing_is_lost(volume: Path) -> None:
    assert "before-a-1" in set_aside(volume, "a-1")
    assert names(volume) == {"generated.configs", "lost+found", ".earlier", ".life"}
    aside = volume / ".earlier" / "before-a-1"
    assert names(aside) == {"leveldb", "swc", ".hidden"}
    assert (aside / "leveldb/1/LOG").read_text() == "leveldb/1/LOG"


def test_a_restart_in_the_same_life_changes_nothing(volume: Path) -> None:
    set_aside(volume, "a-1")
    (volume / "leveldb").mkdir()
    assert not set_aside(volume, "a-1")
    assert "leveldb" in names(volume)
    assert names(volume / ".earlier") == {"before-a-1"}


def test_a_start_that_was_cut_short_goes_on(volume: Path) -> None:
    aside = volume / ".earlier" / "before-a-1"
    aside.mkdir(parents=True)
    (volume / "leveldb").rename(aside / "leveldb")
    set_aside(volume, "a-1")
    assert names(aside) == {"leveldb", "swc", ".hidden"}


def test_the_last_three_are_kept(volume: Path) -> None:
    for number in range(1, 6):
        (volume / "state").write_text(str(number))
        set_aside(volume, f"a-{number}")
    assert len(names(volume / ".earlier")) == 3
    assert (volume / ".earlier/before-a-5/state").read_text() == "5"


def test_an_empty_volume_is_fine(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    set_aside(volume, "a-1")
    assert (volume / ".life").read_text() == "a-1"
