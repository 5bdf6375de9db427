"""A demo that fails says what failed and where to look, and its exit code says so too."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e import bringup
from e2e.demo import acts
from e2e.providers.progress import StepError


class Provider:
    """One whose cluster does not come up."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def kubeconfig(self) -> Path:
        """Never written."""
        return self._folder / "kubeconfig"

    def delete(self) -> None:
        """Cannot be done either."""
        raise StepError("a mount is busy")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def kubernetes(_: object) -> None:
        raise StepError("etcd did not come up in 60 s")

    monkeypatch.setattr(bringup, "issuer", lambda: None)
    monkeypatch.setattr(bringup, "provider", lambda: Provider(tmp_path))
    monkeypatch.setattr(bringup, "kubernetes", kubernetes)


@pytest.mark.usefixtures("broken")
def test_what_failed_and_where_to_look(capsys: pytest.CaptureFixture[str]) -> None:
    assert acts.up() != 0
    said = " ".join(capsys.readouterr().out.split())
    assert "etcd did not come up in 60 s" in said
    assert f"build logs: {bringup.LOGS}" in said
    assert "`make demo-down` removes it" in said
    assert "demo: FAIL in 0s: Kubernetes is up" in said
    assert "PASS" not in said


@pytest.mark.usefixtures("broken")
def test_what_cannot_be_removed_is_said_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert acts.down() != 0
    assert "FAIL: not everything could be removed: a mount is busy" in capsys.readouterr().out
