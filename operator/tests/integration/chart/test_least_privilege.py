"""The operator does its work with the chart's permissions, and asks for nothing that it lacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.kit.eventually import eventually
from e2e.providers.control_plane import ControlPlaneProvider
from hack.golden import SAMPLES, rendered, sample_cluster
from hack.install import NAMESPACE
from tests.integration.chart.conftest import objects

pytestmark = pytest.mark.integration

_SAMPLE = SAMPLES / "quickstart.yaml"
_ACCOUNT = "liveconnect-operator"
_KINDS = "serviceaccounts,secrets,configmaps,services,networkpolicies,pdb,statefulsets,deployments"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlaneProvider]:
    """A control plane in which nobody has been granted anything yet."""
    provider = ControlPlaneProvider("permissions", tmp_path / "plane")
    try:
        provider.create()
        yield provider
    finally:
        provider.delete()


def apply(plane: ControlPlaneProvider, body: dict[str, Any]) -> None:
    plane.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(body))


def kubeconfig(plane: ControlPlaneProvider, path: Path) -> Path:
    """A kubeconfig with nothing but the operator's ServiceAccount token."""
    content = yaml.safe_load(plane.kubeconfig().read_text())
    token = plane.kubectl("-n", NAMESPACE, "create", "token", _ACCOUNT).strip()
    content["users"] = [
        {"name": entry["name"], "user": {"token": token}} for entry in content["users"]
    ]
    path.write_text(yaml.safe_dump(content))
    return path


@contextmanager
def operator(config: Path, log: Path, namespaces: str) -> Iterator[None]:
    """The operator as a process."""
    env = {
        **os.environ,
        "KUBECONFIG": str(config),
        "LIVECONNECT_IMAGE": "liveconnect:test",
        "LIVECONNECT_NAMESPACES": namespaces,
        "LIVECONNECT_LEASE_NAMESPACE": NAMESPACE,
        "LIVECONNECT_LEASE_NAME": _ACCOUNT,
        "LIVECONNECT_HOST": "127.0.0.1",
        "LIVECONNECT_PORT": "0",
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "liveconnect.controller"], env=env, stdout=out, stderr=out
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=20)


@pytest.mark.parametrize("namespaces", ["", "shop"])
def test_the_charts_permissions_are_enough(
    plane: ControlPlaneProvider, tmp_path: Path, namespaces: str
) -> None:
    plane.kubectl("create", "namespace", "shop")
    plane.kubectl("create", "namespace", NAMESPACE)
    for body in objects(*([f"watchNamespaces={{{namespaces}}}"] if namespaces else [])):
        if body["kind"] not in {"Deployment", "Service"}:
            apply(plane, body)
    secret = ("create", "secret", "generic", "quickstart-jwks", "--from-literal=jwks.json={}")
    plane.kubectl("-n", "shop", *secret)
    wanted = {(m["kind"], m["metadata"]["name"]) for m in rendered(sample_cluster(_SAMPLE))}
    log = tmp_path / "operator.log"

    def made() -> bool:
        found = json.loads(plane.kubectl("-n", "shop", "get", _KINDS, "-o", "json"))["items"]
        return wanted <= {(o["kind"], o["metadata"]["name"]) for o in found}

    def seen() -> bool:
        """The status was written."""
        path = "jsonpath={.status.observedGeneration}"
        return plane.kubectl("-n", "shop", "get", "lcc", "quickstart", "-o", path) == "1"

    def told() -> bool:
        """An event about the repair was posted."""
        return "LiveConnectCluster" in plane.kubectl("-n", "shop", "get", "events", "-o", "yaml")

    with operator(kubeconfig(plane, tmp_path / "kubeconfig"), log, namespaces):
        eventually(
            lambda: plane.kubectl("-n", "shop", "apply", "--server-side", "-f", str(_SAMPLE)),
            within=20,
        )
        try:
            eventually(made, within=45)
            eventually(seen, within=15)
            plane.kubectl("-n", "shop", "scale", "statefulset/quickstart-gateway", "--replicas=5")
            eventually(told, within=20)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{log.read_text()[-3000:]}") from error
    assert "forbidden" not in log.read_text().lower()
