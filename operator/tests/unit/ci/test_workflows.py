"""What runs in users' CI, checked by the tool that knows GitHub's workflows."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.kit import artifacts
from e2e.providers.binaries import binary
from e2e.providers.paths import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
E2E = ROOT / ".github" / "workflows" / "e2e-kind.yaml"


def actionlint(*workflows: Path) -> subprocess.CompletedProcess[str]:
    command = [str(binary("actionlint")), "-shellcheck=", "-pyflakes=", *map(str, workflows)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text())["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def test_workflows_pass_actionlint() -> None:
    assert {w.stem for w in WORKFLOWS} == {"ci", "e2e-kind"}
    done = actionlint(*WORKFLOWS)
    assert done.returncode == 0, done.stdout


def test_actionlint_would_say_so(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(E2E.read_text().replace("inputs.broker_image", "inputs.broker_imge"))
    assert "broker_imge" in actionlint(wrong).stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda p: p.stem)
def test_workflows_read_and_nothing_else(workflow: Path) -> None:
    content = yaml.safe_load(workflow.read_text())
    assert content["permissions"] == {"contents": "read"}
    for job in content["jobs"].values():
        assert "permissions" not in job
        assert job["timeout-minutes"] <= 60
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda p: p.stem)
def test_actions_have_a_version(workflow: Path) -> None:
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in used)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda p: p.stem)
def test_nothing_runs_that_make_does_not_know(workflow: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wanted = [
        target
        for step in steps(workflow)
        if step.get("run", "").startswith("make ")
        for target in step["run"].split()[1:]
    ]
    assert wanted
    assert set(wanted) <= targets


def test_every_piece_of_make_test_runs_in_ci() -> None:
    ran = " ".join(str(step.get("run", "")) for w in WORKFLOWS for step in steps(w)).split()
    pieces = {"lint", "types", "imports", "verify", "unit", "contract", "integration", "e2e"}
    assert pieces <= set(ran)


def test_ci_installs_the_kind_that_was_tested_here() -> None:
    pinned = re.search(
        r"sigs\.k8s\.io/kind (v\S+)", (ROOT / "e2e" / "tools" / "kind" / "go.mod").read_text()
    )
    assert pinned
    assert f"go install sigs.k8s.io/kind@{pinned.group(1)}" in E2E.read_text()


def test_what_helps_to_find_out_why_is_kept() -> None:
    upload = next(s for s in steps(E2E) if s.get("uses", "").startswith("actions/upload-artifact"))
    assert upload["if"] == "failure()"
    assert str(artifacts.FOLDER) in upload["with"]["path"]
