"""Kubernetes in Docker, for those who have it: the same suite with images that can be pulled."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from e2e.providers import progress
from e2e.providers.binaries import binary
from e2e.providers.paths import ROOT, cache


def docker_works() -> bool:
    """Whether there is a Docker daemon that answers."""
    if shutil.which("docker") is None:
        return False
    try:
        done = subprocess.run(["docker", "info"], check=False, capture_output=True, timeout=10)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def program() -> str:
    """The user's kind, else one that is built.

    Raises:
        StepError: There is neither kind nor Go.
    """
    return shutil.which("kind") or str(binary("kind"))


class KindProvider:
    """One kind cluster; others are never touched."""

    #: It depends on kind's version and on the user's own kind.
    enforces_policies = False

    def __init__(self, name: str) -> None:
        self.name = name

    def kubeconfig(self) -> Path:
        """A kubeconfig of its own: the user's is left alone."""
        return cache() / "kind" / f"{self.name}.kubeconfig"

    def create(self) -> Path:
        """Create the cluster unless it exists.

        Raises:
            StepError: Docker does not answer, kind cannot be had, or kind failed.
        """
        if not docker_works():
            raise progress.StepError("the kind provider needs a running Docker")
        self.kubeconfig().parent.mkdir(parents=True, exist_ok=True)
        clusters = self._kind("get", "clusters").split()
        if self.name not in clusters:
            progress.run(
                f"creating kind cluster {self.name}",
                [program(), "create", "cluster", "--name", self.name, "--wait", "180s",
                 "--config", str(ROOT / "e2e" / "kind.yaml"),
                 "--kubeconfig", str(self.kubeconfig())],
                log=cache() / "logs" / "kind-create.log",
            )  # fmt: skip
        self._kind("export", "kubeconfig", "--name", self.name,
                   "--kubeconfig", str(self.kubeconfig()))  # fmt: skip
        return self.kubeconfig()

    def load_image(self, archive: Path) -> None:
        """Load an image archive into the nodes."""
        self._kind("load", "image-archive", str(archive), "--name", self.name)

    def delete(self) -> None:
        """Delete the cluster; none is fine."""
        if docker_works():
            self._kind("delete", "cluster", "--name", self.name,
                       "--kubeconfig", str(self.kubeconfig()))  # fmt: skip
        self.kubeconfig().unlink(missing_ok=True)

    @staticmethod
    def _kind(*arguments: str) -> str:
        done = subprocess.run([program(), *arguments], check=False, capture_output=True, text=True)
        if done.returncode:
            raise progress.StepError(f"kind {arguments[0]}: {done.stderr.strip()}")
        return done.stdout
