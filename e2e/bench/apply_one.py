"""`apply-one-vs-kubectl`: one object through the operator, against kubectl with all its children.

Ours is the time from the request that creates the object to the moment in which the last of its
children has been seen by a watch; kubectl's is its run, from start to exit, with the manifests
that the operator would render. Each round has a namespace of its own, gone before the next.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import urllib3
import yaml
from kubernetes import client, config, watch

from e2e.bench.processes import answers, free_port, running
from e2e.bench.rounds import paired
from e2e.bench.row import Measurement, Row
from e2e.providers import binaries
from e2e.providers.control_plane import ControlPlaneProvider
from e2e.providers.paths import ROOT
from hack.golden import rendered
from liveconnect.api.v1alpha1 import Cluster

_ROUNDS: Final = 7
_NAME: Final = "demo"
_WITHIN_SECONDS: Final = 60
_GROUP, _VERSION, _PLURAL = "liveconnect.io", "v1alpha1", "liveconnectclusters"

Key = tuple[str, str]
"""Kind and name."""


def _object(namespace: str) -> dict[str, Any]:
    jwt = {
        "issuer": "https://issuer.example",
        "audiences": ["devices"],
        "jwksURI": "https://issuer.example/jwks",
    }
    return {
        "apiVersion": f"{_GROUP}/{_VERSION}",
        "kind": "LiveConnectCluster",
        "metadata": {"name": _NAME, "namespace": namespace},
        "spec": {"broker": {"image": "broker:bench"}, "auth": {"tokens": [{"jwt": jwt}]}},
    }


def _children(namespace: str) -> list[dict[str, Any]]:
    """Return the manifests; without the owner, which kubectl's namespace does not have."""
    body = _object(namespace)
    body["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    manifests = [dict(manifest) for manifest in rendered(Cluster.parse(body))]
    for manifest in manifests:
        manifest["metadata"] = {**manifest["metadata"]}
        manifest["metadata"].pop("ownerReferences", None)
    return manifests


class _Arrivals:
    """Notes when objects appear in a namespace, by a watch of each kind."""

    def __init__(self, namespace: str, expected: set[Key]) -> None:
        self._namespace = namespace
        self._missing = set(expected)
        self._lock = threading.Lock()
        self._last = 0.0
        self._complete = threading.Event()
        core, apps = client.CoreV1Api(), client.AppsV1Api()
        lists = {
            "ServiceAccount": core.list_namespaced_service_account,
            "Secret": core.list_namespaced_secret,
            "ConfigMap": core.list_namespaced_config_map,
            "Service": core.list_namespaced_service,
            "NetworkPolicy": client.NetworkingV1Api().list_namespaced_network_policy,
            "PodDisruptionBudget": client.PolicyV1Api().list_namespaced_pod_disruption_budget,
            "StatefulSet": apps.list_namespaced_stateful_set,
            "Deployment": apps.list_namespaced_deployment,
        }
        unknown = {kind for kind, _ in expected} - set(lists)
        if unknown:
            raise RuntimeError(f"children of kinds that this row does not watch: {unknown}")
        self._watches = [watch.Watch() for _ in lists]  # type: ignore[no-untyped-call]
        self._threads = [
            threading.Thread(target=self._watch, args=(kind, listing, one), daemon=True)
            for (kind, listing), one in zip(lists.items(), self._watches, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def _watch(self, kind: str, listing: Any, one: watch.Watch) -> None:
        # A watch that breaks is no news: `last` says what has not been seen.
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            self._follow(kind, listing, one)

    def _follow(self, kind: str, listing: Any, one: watch.Watch) -> None:
        stream = one.stream(  # type: ignore[no-untyped-call]
            listing, self._namespace, timeout_seconds=_WITHIN_SECONDS, _preload_content=False
        )
        for event in stream:
            now = time.perf_counter()
            with self._lock:
                self._missing.discard((kind, event["object"].metadata.name))
                if not self._missing and not self._complete.is_set():
                    self._last = now
                    self._complete.set()
            if self._complete.is_set():
                return

    def last(self) -> float:
        """Return when the last one appeared.

        Raises:
            RuntimeError: some never did.
        """
        if not self._complete.wait(_WITHIN_SECONDS):
            raise RuntimeError(f"not applied: {sorted(self._missing)}")
        for one in self._watches:
            one.stop()  # type: ignore[no-untyped-call]
        return self._last


@dataclass
class _Bench:
    """A control plane with our operator in it."""

    plane: ControlPlaneProvider
    folder: Path
    numbers: Iterator[int]

    @contextlib.contextmanager
    def namespace(self) -> Iterator[str]:
        """A namespace that is gone afterwards, with all that was in it."""
        name = f"bench-{next(self.numbers)}"
        self.plane.kubectl("create", "namespace", name)
        try:
            yield name
        finally:
            self.plane.kubectl("delete", "namespace", name, "--wait=true", "--timeout=120s")

    def ours(self) -> float:
        """Return the seconds from creating an object to its last child."""
        with self.namespace() as name:
            expected = {(m["kind"], m["metadata"]["name"]) for m in _children(name)}
            arrivals = _Arrivals(name, expected)
            time.sleep(0.5)  # for the watches to be there
            began = time.perf_counter()
            client.CustomObjectsApi().create_namespaced_custom_object(
                _GROUP, _VERSION, name, _PLURAL, _object(name)
            )
            return arrivals.last() - began

    def kubectl(self) -> float:
        """Return the seconds that kubectl takes for the same children."""
        with self.namespace() as name:
            manifests = self.folder / "children.yaml"
            manifests.write_text(yaml.safe_dump_all(_children(name)))
            command = [
                str(binaries.binary("kubectl")), f"--kubeconfig={self.plane.kubeconfig()}",
                "apply", "--server-side", "-f", str(manifests),
            ]  # fmt: skip
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            return time.perf_counter() - began


@contextlib.contextmanager
def _operator(plane: ControlPlaneProvider, folder: Path) -> Iterator[None]:
    port = free_port()
    environment = {
        **os.environ,
        "KUBECONFIG": str(plane.kubeconfig()),
        "LIVECONNECT_IMAGE": "liveconnect:bench",
        "LIVECONNECT_HOST": "127.0.0.1",
        "LIVECONNECT_PORT": str(port),
    }
    command = [sys.executable, "-m", "liveconnect.controller"]
    url = f"http://127.0.0.1:{port}/readyz"
    with running(command, lambda: answers(url), folder / "operator.log", environment):
        yield


def _measure() -> Measurement:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        plane = ControlPlaneProvider("bench", folder / "plane")
        stack.callback(plane.delete)
        plane.create()
        plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=20s")
        config.load_kube_config(str(plane.kubeconfig()))  # type: ignore[no-untyped-call]
        stack.enter_context(_operator(plane, folder))
        bench = _Bench(plane, folder, itertools.count(1))
        return paired(bench.ours, bench.kubectl, rounds=_ROUNDS, unit="s")


ROW: Final = Row(
    id="apply-one-vs-kubectl",
    what="from one object to all of its children (less is better)",
    unit="s",
    peer="kubectl apply --server-side",
    goal=1.5,
    measure=_measure,
    less_is_better=True,
)
