"""The chart, rendered and installed by the pinned helm."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from e2e.providers.binaries import binary
from e2e.providers.control_plane import ControlPlaneProvider
from hack.golden import ROOT
from hack.install import render

CHART = ROOT / "charts" / "liveconnect-operator"
Objects = list[dict[str, Any]]


def objects(*values: str) -> Objects:
    """What the chart renders; `values` are `key=value`."""
    # The CRD has 400 KB: the parser in Python takes seconds for it, libyaml's a tenth.
    return [o for o in yaml.load_all(render(CHART, *values), yaml.CSafeLoader) if o]


def of_kind(kind: str, found: Objects) -> Objects:
    """Those of one kind."""
    return [o for o in found if o["kind"] == kind]


class Helm:
    """Helm at the control plane, in a namespace of its own."""

    namespace = "chart-tests"

    def __init__(self, plane: ControlPlaneProvider) -> None:
        self._plane = plane

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run helm; look at the return code yourself."""
        return subprocess.run(
            [str(binary("helm")), *arguments, "--namespace", self.namespace,
             "--kubeconfig", str(self._plane.kubeconfig())],
            check=False, capture_output=True, text=True, cwd=ROOT,
        )  # fmt: skip

    def ok(self, *arguments: str) -> str:
        """Run helm, which must succeed."""
        done = self(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in the release's namespace."""
        return self._plane.kubectl("-n", self.namespace, *arguments)

    def get(self, *arguments: str) -> dict[str, Any]:
        """Read something as JSON."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found


@pytest.fixture(scope="package")
def own_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlaneProvider]:
    """A control plane of these tests' own: they install and remove the CRD."""
    provider = ControlPlaneProvider("chart", tmp_path_factory.mktemp("chart-plane"))
    try:
        provider.create()
        yield provider
    finally:
        provider.delete()


@pytest.fixture(scope="package")
def helm(own_plane: ControlPlaneProvider) -> Helm:
    """Helm, and a namespace that enforces the Pod Security Standard `restricted`."""
    own_plane.kubectl("create", "namespace", Helm.namespace)
    own_plane.kubectl(
        "label", "namespace", Helm.namespace, "pod-security.kubernetes.io/enforce=restricted"
    )
    return Helm(own_plane)
