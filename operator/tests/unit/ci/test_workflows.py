"""What runs in users' CI, checked by the tools that will read it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from e2e.providers.binaries import binary
from e2e.providers.paths import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))


def test_workflows_pass_actionlint() -> None:
    command = [str(binary("actionlint")), "-shellcheck=", "-pyflakes=", *map(str, WORKFLOWS)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def create(config: Path) -> str:
    """What kind says: it parses the configuration before it needs a container engine."""
    environment = {**os.environ, "DOCKER_HOST": "unix:///nowhere.sock"}
    command = [str(binary("kind")), "create", "cluster", "--name", "parse", "--config", str(config)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    return done.stderr


def test_kind_reads_our_configuration(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((ROOT / "e2e" / "kind.yaml").read_text() + "rolez: []\n")
    assert "unknown field" in create(wrong) or "rolez" in create(wrong)
    said = create(ROOT / "e2e" / "kind.yaml")
    assert "unknown field" not in said
    assert "config" not in said.lower() or "docker" in said.lower()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda p: p.stem)
def test_workflows_have_least_permissions(workflow: Path) -> None:
    assert "permissions:\n  contents: read\n" in workflow.read_text()
