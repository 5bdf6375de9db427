"""Who reaches what, tried from pods: skipped where a network plug-in enforces no NetworkPolicies.

The rules themselves are read pod by pod in `operator/tests/unit/rendering/test_policies.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from e2e.kit import install
from e2e.kit.cluster import Cluster, KubectlError, Manifest
from e2e.kit.eventually import NotInTimeError, eventually

pytestmark = pytest.mark.e2e

_STRANGERS = "e2e-strangers"
_TRY = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()"
_SERVE = (
    "import http.server as h; h.HTTPServer(('', 8000), h.SimpleHTTPRequestHandler).serve_forever()"
)
_SLEEP = "import threading; threading.Event().wait()"
_FENCE = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "fenced"},
    "spec": {"podSelector": {"matchLabels": {"app": "fenced"}}, "policyTypes": ["Ingress"]},
}


@dataclass(frozen=True)
class Pod:
    """A pod from which connections are tried."""

    cluster: Cluster
    namespace: str
    name: str

    def reaches(self, host: str, port: int) -> bool:
        """Whether a TCP connection comes about within some seconds."""
        try:
            self.cluster.kubectl(
                "exec", self.name, "-n", self.namespace, "--",
                "python", "-c", _TRY, host, str(port),
            )  # fmt: skip
        except KubectlError:
            return False
        return True


def _pod(name: str, image: str, code: str, **labels: str) -> Manifest:
    container = {
        "name": "python",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", code],
    }
    meta = {"name": name, "labels": {"app": name, **labels}}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def _running(cluster: Cluster, name: str, namespace: str) -> str:
    """The pod's address once it runs; empty before."""
    pod = cluster.get("pod", name, namespace) or {}
    address: str = pod.get("status", {}).get("podIP", "")
    return address if pod.get("status", {}).get("phase") == "Running" else ""


@pytest.fixture(scope="module")
def image(cluster: Cluster, quickstart: Manifest) -> str:
    """An image with Python in it: our own."""
    auth = cluster.existing("deployment", f"{quickstart['metadata']['name']}-auth")
    name: str = auth["spec"]["template"]["spec"]["containers"][0]["image"]
    return name


@pytest.fixture(scope="module")
def stranger(cluster: Cluster, image: str, *, policies_hold: bool) -> Iterator[Pod]:
    """A pod of a namespace that no object declares, where policies are enforced.

    Skips where a pod that is fenced off can be reached all the same; fails where it never should.
    """
    cluster.ensure_namespace(_STRANGERS)
    cluster.apply(
        _pod("stranger", image, _SLEEP), _pod("fenced", image, _SERVE), _FENCE,
        namespace=_STRANGERS,
    )  # fmt: skip
    try:
        address = eventually(lambda: _running(cluster, "fenced", _STRANGERS), within=90)
        eventually(lambda: _running(cluster, "stranger", _STRANGERS), within=90)
        pod, fenced = Pod(cluster, _STRANGERS, "stranger"), Pod(cluster, _STRANGERS, "fenced")
        eventually(lambda: fenced.reaches("127.0.0.1", 8000), within=30, what="the fenced server")
        _expect_a_fence(pod, address, policies_hold=policies_hold)
        yield pod
    finally:
        cluster.delete("namespace", _STRANGERS)


def _expect_a_fence(pod: Pod, fenced: str, *, policies_hold: bool) -> None:
    """A plug-in may need some seconds for a new pod."""
    try:
        eventually(lambda: not pod.reaches(fenced, 8000), within=15, what="a fence")
    except NotInTimeError:
        if policies_hold:
            raise
        pytest.skip("this cluster's network plug-in does not enforce NetworkPolicies")


@pytest.fixture(scope="module")
def monitor(cluster: Cluster, image: str, stranger: Pod) -> Pod:
    """A pod beside the stranger, with the label that lets monitoring in."""
    labels = {"liveconnect.io/metrics-client": "true"}
    cluster.apply(_pod("monitor", image, _SLEEP, **labels), namespace=stranger.namespace)
    eventually(lambda: _running(cluster, "monitor", stranger.namespace), within=90)
    return Pod(cluster, stranger.namespace, "monitor")


@pytest.fixture(scope="module")
def caller(cluster: Cluster, image: str) -> Iterator[Pod]:
    """A pod of the namespace that the quickstart object declares."""
    cluster.apply(_pod("e2e-caller", image, _SLEEP))
    eventually(lambda: _running(cluster, "e2e-caller", "default"), within=90)
    yield Pod(cluster, "default", "e2e-caller")
    cluster.delete("pod", "e2e-caller")


def _expect_to_reach(pod: Pod, host: str, port: int) -> None:
    """A plug-in may need some seconds until it knows a new pod's address."""
    eventually(lambda: pod.reaches(host, port), within=15, what=f"{pod.name} to {host}:{port}")


def _auth_pod(cluster: Cluster, name: str) -> str:
    selector = f"app.kubernetes.io/instance={name},app.kubernetes.io/component=auth"
    auth: str = cluster.items("pods", "default", selector)[0]["metadata"]["name"]
    return auth


def _address(cluster: Cluster, pod: str) -> str:
    address: str = cluster.existing("pod", pod)["status"]["podIP"]
    return address


@pytest.mark.parametrize(
    ("part", "port"),
    [
        ("publisher", 1883), ("publisher", 8888), ("publisher", 4369), ("publisher", 44053),
        ("subscriber", 8888), ("subscriber", 44053), ("presence", 6379),
    ],
)  # fmt: skip
def test_a_stranger_reaches_no_inner_port(
    cluster: Cluster, quickstart: Manifest, stranger: Pod, part: str, port: int
) -> None:
    name = quickstart["metadata"]["name"]
    assert not stranger.reaches(_address(cluster, f"{name}-{part}-0"), port)


def test_the_auth_service_reaches_the_store(cluster: Cluster, quickstart: Manifest) -> None:
    name = quickstart["metadata"]["name"]
    auth = Pod(cluster, "default", _auth_pod(cluster, name))
    _expect_to_reach(auth, _address(cluster, f"{name}-presence-0"), 6379)


def test_the_operator_reaches_all_that_it_asks(cluster: Cluster, quickstart: Manifest) -> None:
    name = quickstart["metadata"]["name"]
    found = cluster.items("pods", install.NAMESPACE, "app.kubernetes.io/name=liveconnect-operator")
    operator = Pod(cluster, install.NAMESPACE, found[0]["metadata"]["name"])
    _expect_to_reach(operator, _address(cluster, _auth_pod(cluster, name)), 8080)
    for pool in ("publisher", "subscriber"):
        for port in (8888, 44054):
            _expect_to_reach(operator, _address(cluster, f"{name}-{pool}-0"), port)


def test_hooks_are_reached_by_brokers_only(
    quickstart: Manifest, stranger: Pod, caller: Pod
) -> None:
    host = f"{quickstart['metadata']['name']}-auth.default.svc"
    assert not stranger.reaches(host, 8081)
    _expect_to_reach(caller, host, 8080)
    assert not caller.reaches(host, 8081)


def test_declared_namespaces_reach_publishers_and_gateway(
    quickstart: Manifest, stranger: Pod, caller: Pod
) -> None:
    name = quickstart["metadata"]["name"]
    for host, port in (
        (f"{name}-publisher.default.svc", 1883),
        (f"{name}-gateway.default.svc", 8080),
    ):
        _expect_to_reach(caller, host, port)
        assert not stranger.reaches(host, port)


def test_everybody_reaches_the_devices_port(quickstart: Manifest, stranger: Pod) -> None:
    host = f"{quickstart['metadata']['name']}-subscriber.default.svc"
    _expect_to_reach(stranger, host, 1883)


def test_monitors_reach_metrics_and_nothing_else(
    cluster: Cluster, quickstart: Manifest, monitor: Pod
) -> None:
    name = quickstart["metadata"]["name"]
    for pool in ("publisher", "subscriber"):
        broker = _address(cluster, f"{name}-{pool}-0")
        _expect_to_reach(monitor, broker, 8888)
        assert not monitor.reaches(broker, 44053)
    for service in ("auth", "gateway"):
        _expect_to_reach(monitor, f"{name}-{service}.default.svc", 8080)
    assert not monitor.reaches(f"{name}-auth.default.svc", 8081)
    assert not monitor.reaches(f"{name}-publisher.default.svc", 1883)
