"""`e2e/kind.yaml`, read and validated by kind itself, without a container engine.

kind decodes the configuration, asks the engine whether it works, validates the configuration, and
only then looks for images. A stand-in for `docker` answers the questions and fails at the work.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.providers.binaries import binary
from e2e.providers.choice import choose
from e2e.providers.kind import KindProvider, program
from e2e.providers.local.provider import LocalProvider
from e2e.providers.paths import ROOT, cache
from e2e.providers.progress import StepError

_CONFIG = (ROOT / "e2e" / "kind.yaml").read_text()
_BEGUN = "this is no container engine"
_DOCKER = f"""\
#!/bin/sh
case "$1" in
  info) echo '{{"CgroupDriver":"systemd","CgroupVersion":"2","SecurityOptions":[]}}' ;;
  ps | inspect) ;;
  *) echo "{_BEGUN}" >&2; exit 1 ;;
esac
"""
Create = Callable[[str], str]


@pytest.fixture
def docker(tmp_path: Path) -> None:
    """The stand-in, in a folder that is to stand first in the path."""
    stand_in = tmp_path / "docker"
    stand_in.write_text(_DOCKER)
    stand_in.chmod(0o755)


@pytest.fixture
def create(tmp_path: Path, docker: None) -> Create:
    """What kind says when it is to create a cluster of this configuration."""
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "KIND_EXPERIMENTAL_PROVIDER": "docker",
    }

    def run(content: str) -> str:
        config = tmp_path / "kind.yaml"
        config.write_text(content)
        command = [str(binary("kind")), "create", "cluster", "--config", str(config)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        assert done.returncode != 0
        return done.stderr

    return run


def test_kind_takes_our_configuration(create: Create) -> None:
    """It goes on to the first step that needs an engine."""
    assert _BEGUN in create(_CONFIG)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (_CONFIG + "rolez: []\n", "field rolez not found"),
        (_CONFIG.replace("control-plane", "master"), "not a valid node role"),
        (_CONFIG + "    extraPortMappings: [{containerPort: 70000}]\n", "invalid port number"),
        (_CONFIG.replace("v1alpha4", "v1alpha9"), "unknown apiVersion"),
    ],
)
def test_kind_refuses_a_wrong_one(create: Create, content: str, words: str) -> None:
    said = create(content)
    assert words in said
    assert _BEGUN not in said


@pytest.mark.usefixtures("docker")
def test_where_docker_works_kind_is_taken_and_need_not_be_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = binary("kind")
    path = [p for p in os.environ["PATH"].split(":") if not (Path(p) / "kind").exists()]
    monkeypatch.setenv("PATH", ":".join([str(tmp_path), *path]))
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", "docker")
    monkeypatch.delenv("LIVECONNECT_PROVIDER", raising=False)
    assert program() == str(built)
    chosen = choose("kind-test")
    assert isinstance(chosen, KindProvider)
    with pytest.raises(StepError):
        chosen.create()
    assert _BEGUN in (cache() / "logs" / "kind-create.log").read_text()


def test_where_it_does_not_the_local_provider_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("LIVECONNECT_PROVIDER", raising=False)
    assert isinstance(choose("kind-test"), LocalProvider)
