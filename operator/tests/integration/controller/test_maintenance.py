"""`kubectl cordon` and `kubectl drain` on a control plane that honours disruption budgets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from e2e.providers.control_plane import ControlPlaneProvider
from e2e.providers.progress import StepError
from tests.integration.controller.conftest import Eventually, Kube, Operator
from tests.integration.controller.nodes import Nodes
from tests.integration.controller.test_reconcile import ready
from tests.integration.controller.test_rolls import kube, restarts
from tests.integration.controller.test_rotation import pods
from tests.integration.controller.test_storage import condition, with_storage
from tests.integration.controller.volumes import Driver

pytestmark = pytest.mark.integration
__all__ = ["kube"]

_LAST = "demo-subscriber-1"
_START = timedelta(seconds=4)
_MACHINES = ("kwok-0", "kwok-1")
_BROKERS = "--pod-selector=liveconnect.io/broker=true"


class Unready(Nodes):
    """Nodes whose pods are ready only while their listeners are open, as the kubelet would say.

    They take a moment to start: at the address of a pod that has just gone nobody answers at once.
    """

    async def _asked(self, request: web.Request) -> Any:
        pod = await super()._asked(request)
        if datetime.now(UTC) - pod.metadata.creation_timestamp < _START:
            raise web.HTTPServiceUnavailable
        return pod

    async def _stop(self, request: web.Request) -> web.Response:
        await self._say(request, "False")
        return await super()._stop(request)

    async def _restart(self, request: web.Request) -> web.Response:
        await self._say(request, "True")
        return await super()._restart(request)

    async def _say(self, request: web.Request, status: str) -> None:
        pod = (await self._asked(request)).metadata.name
        body = json.dumps({"status": {"conditions": [{"type": "Ready", "status": status}]}})
        patch = ("patch", "pod", pod, "--subresource=status", "--type=strategic", "-p", body)
        await asyncio.to_thread(self._kube, *patch)


@pytest.fixture(scope="module", autouse=True)
def second_machine(answering_plane: ControlPlaneProvider) -> None:
    """Two Kubernetes nodes: brokers of one can go to the other."""
    resources = {"cpu": "1k", "memory": "1Ti", "pods": "10k"}
    machine = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "kwok-1", "labels": {"kubernetes.io/hostname": "kwok-1"}},
        "status": {"allocatable": resources, "capacity": resources},
    }
    answering_plane.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(machine))
    answering_plane.kubectl("wait", "--for=condition=Ready", "node/kwok-1", "--timeout=30s")


@pytest.fixture
def nodes(kube: Kube) -> Iterator[Nodes]:
    """The broker nodes of the namespace."""
    nodes = Unready(kube)
    nodes.start()
    yield nodes
    nodes.stop()


@pytest.fixture
def cluster(
    kube: Kube, nodes: Nodes, eventually: Eventually, tmp_path: Path
) -> Iterator[dict[str, Any]]:
    """An object that is ready, and an operator that may look at Kubernetes nodes."""
    operator = Operator(kube.plane, tmp_path / "log")
    operator.start()
    kube("create", "secret", "generic", "store", "--from-literal=url=redis://store:6379/0")
    driver = Driver(kube, expandable=True)
    body = with_storage(driver)
    kube.apply(body)
    eventually(lambda: len(driver.claims()) == 4 and driver.provide(), within=60)
    eventually(lambda: ready(kube)["status"] == "True", within=60)
    yield body
    for machine in _MACHINES:
        kube("uncordon", machine)
    operator.kill()
    print(operator.log.read_text()[-6000:])


def machine_of(kube: Kube, pod: str) -> str:
    return str(kube.get("pod", pod)["spec"]["nodeName"])


def refused(kube: Kube, pod: str) -> bool:
    """Whether an eviction is refused for the budget."""
    meta = {"name": pod, "namespace": kube.namespace}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
    path = f"/api/v1/namespaces/{kube.namespace}/pods/{pod}/eviction"
    try:
        kube("create", "--raw", path, "-f", "-", stdin=json.dumps(body))
    except StepError as error:
        return "disruption budget" in str(error)
    return False


def drain(kube: Kube, machine: str, timeout: str) -> None:
    flags = ("--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={timeout}")
    kube("drain", machine, _BROKERS, *flags)


def drained(kube: Kube) -> dict[str, Any]:
    return dict(kube.get("lcc", "demo")["status"].get("drain") or {})


def told(kube: Kube) -> set[str]:
    path = "{range .items[*]}{.reason} {end}"
    return set(kube("get", "events", "-o", f"jsonpath={path}").split())


def test_a_kubernetes_node_is_drained_when_its_brokers_clients_are_elsewhere(
    kube: Kube, eventually: Eventually, nodes: Nodes, cluster: dict[str, Any]
) -> None:
    nodes.clients = {_LAST: 40}
    assert refused(kube, _LAST), "a serving broker"
    machine = machine_of(kube, _LAST)
    there = {pod for pod in pods(kube) if machine_of(kube, pod) == machine}
    with pytest.raises(StepError, match="evict"):
        drain(kube, machine, timeout="5s")
    eventually(lambda: drained(kube).get("node") == _LAST, within=60)
    eventually(lambda: not_ready(kube, _LAST), within=30)
    assert refused(kube, _LAST), "not ready, and 40 clients are still there"
    seen = drained(kube)
    assert (seen["purpose"], seen["sessionsLeft"]) == ("Maintenance", 40)
    nodes.clients = {}
    drain(kube, machine, timeout="120s")
    assert {machine_of(kube, pod) for pod in pods(kube)} == set(_MACHINES) - {machine}
    kube("uncordon", machine)
    eventually(lambda: not drained(kube) and ready(kube)["status"] == "True", within=60)
    assert restarts(nodes) == {pod: int(pod in there) for pod in pods(kube)}
    said = condition(kube, "EvictionsPaced")
    assert (said["status"], said["reason"]) == ("True", "Idle")
    assert {"NodeDraining", "NodeDrained"} <= told(kube)
    assert cluster


def not_ready(kube: Kube, pod: str) -> bool:
    conditions = kube.get("pod", pod)["status"]["conditions"]
    return any(c["type"] == "Ready" and c["status"] == "False" for c in conditions)


def test_uncordoned_before_the_eviction_the_broker_serves_again(
    kube: Kube, eventually: Eventually, nodes: Nodes, cluster: dict[str, Any]
) -> None:
    before = pods(kube)
    nodes.clients = {_LAST: 40}
    kube("cordon", machine_of(kube, _LAST))
    eventually(lambda: drained(kube).get("node") == _LAST, within=60)
    eventually(lambda: not_ready(kube, _LAST), within=30)
    kube("uncordon", machine_of(kube, _LAST))
    eventually(lambda: not drained(kube) and not not_ready(kube, _LAST), within=60)
    eventually(lambda: "NodeReturned" in told(kube))
    assert pods(kube) == before
    eventually(lambda: refused(kube, _LAST))
    assert cluster
