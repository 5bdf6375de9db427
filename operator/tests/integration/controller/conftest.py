"""The operator as a process, against the control plane."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.kit.cluster import Cluster
from e2e.kit.eventually import eventually as poll
from e2e.providers.binaries import binary
from e2e.providers.control_plane import ControlPlaneProvider
from tests.integration import planes
from tests.integration.controller.words import Words

Eventually = Callable[..., Any]


class Operator:
    """One operator process."""

    def __init__(self, plane: ControlPlaneProvider, log: Path, **settings: str) -> None:
        self._plane = plane
        self.log = log
        self._settings = {f"LIVECONNECT_{k.upper()}": v for k, v in settings.items()}
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def start(self) -> None:
        """Start it."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = self._port = probe.getsockname()[1]
        env = {
            **os.environ,
            "KUBECONFIG": str(self._plane.kubeconfig()),
            "LIVECONNECT_IMAGE": "liveconnect:test",
            "LIVECONNECT_PORT": str(port),
            "LIVECONNECT_HOST": "127.0.0.1",
            **self._settings,
        }
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "liveconnect.controller"], env=env, stdout=out, stderr=out
            )

    def page(self, path: str) -> str:
        """What it answers to a GET that must succeed."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
            text: str = answer.read().decode()
            return text

    def metrics(self) -> str:
        """What it exposes now."""
        return self.page("/metrics")

    def metric(self, name: str) -> float:
        """Sum of a metric's series."""
        lines = self.metrics().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name}{{"))

    def kill(self) -> None:
        """End it without warning."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def terminate(self) -> None:
        """End it as the kubelet does, and wait."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process = None


control_plane = planes.of_package()


@pytest.fixture(scope="package")
def answering_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlaneProvider]:
    """A control plane whose pods have addresses that a test can answer at."""
    folder = tmp_path_factory.mktemp("answering") / "plane"
    provider = ControlPlaneProvider("answering", folder, pod_addresses=planes.ADDRESSES)
    with planes.serving(provider):
        yield provider


@pytest.fixture(scope="package")
def words(
    control_plane: ControlPlaneProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Words]:
    """Every reason that is told here; in the end they are of the lists."""
    words = Words(control_plane, tmp_path_factory.mktemp("words"))
    words.start()
    yield words
    words.stop()
    assert not words.unknown()


@pytest.fixture(scope="package")
def operator_process(
    control_plane: ControlPlaneProvider, words: Words, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """An operator that runs all the time."""
    operator = Operator(control_plane, tmp_path_factory.mktemp("operator") / "log")
    operator.start()
    yield operator
    operator.kill()


class Kube:
    """What the tests do with the API server."""

    def __init__(self, plane: ControlPlaneProvider, namespace: str) -> None:
        self.plane = plane
        self.namespace = namespace
        self._cluster = Cluster(plane.kubeconfig(), str(binary("kubectl")))

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """Kubectl in the test's namespace."""
        return self.plane.kubectl("-n", self.namespace, *arguments, stdin=stdin)

    def apply(self, manifest: dict[str, Any]) -> None:
        """Server-side apply as a user."""
        self._cluster.apply(manifest, namespace=self.namespace)

    def get(self, what: str, name: str) -> dict[str, Any]:
        """One object that must be there."""
        return self._cluster.existing(what, name, self.namespace)

    def names(self, *kinds: str) -> set[str]:
        """`kind/name` of everything of ours in the namespace."""
        selector = "app.kubernetes.io/part-of=liveconnect"
        found = (o for k in kinds for o in self._cluster.items(k, self.namespace, selector))
        return {f"{_resource(one)}/{one['metadata']['name']}" for one in found}


def _resource(body: dict[str, Any]) -> str:
    """As kubectl names it, `statefulset.apps`."""
    group = body["apiVersion"].rpartition("/")[0]
    return f"{body['kind'].lower()}.{group}".rstrip(".")


@contextlib.contextmanager
def namespaced(plane: ControlPlaneProvider, name: str) -> Iterator[Kube]:
    """A namespace while the block lasts; its end is not waited for."""
    plane.kubectl("create", "namespace", name)
    try:
        yield Kube(plane, name)
    finally:
        plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def kube(
    control_plane: ControlPlaneProvider,
    operator_process: Operator,
    words: Words,
    request: pytest.FixtureRequest,
) -> Iterator[Kube]:
    """A namespace of the test's own."""
    name = (
        request.node.name.replace("_", "-")
        .replace("[", "-")
        .replace("]", "")
        .lower()[:50]
        .rstrip("-")
    )
    with namespaced(control_plane, name) as kube:
        yield kube
        if request.node.session.testsfailed:
            print(operator_process.log.read_text()[-4000:])
    # Of this test, but for the last moment of it: a test that brings a word in is named.
    assert not words.unknown()


@pytest.fixture
def eventually() -> Eventually:
    """Wait for a predicate."""

    def wait(predicate: Callable[[], Any], within: float = 15.0) -> Any:
        return poll(predicate, within=within, every=0.1)

    return wait
