"""One VerneMQ cluster of both pools, and nobody else's."""

from __future__ import annotations

import base64
import http.client

import pytest

from e2e.kit.cluster import Cluster, Manifest, condition
from e2e.kit.eventually import eventually
from e2e.kit.management import api_key, members
from e2e.kit.portforward import PortForward
from e2e.kit.ready import wait_ready

pytestmark = pytest.mark.e2e
_HTTP_PORT = 8888


def _secret(cluster: Cluster, name: str, key: str) -> str:
    encoded: str = cluster.existing("secret", name)["data"][key]
    return base64.b64decode(encoded).decode()


def _pods(name: str) -> set[str]:
    pools = ("publisher", "subscriber")
    return {f"{name}-{pool}-{ordinal}" for pool in pools for ordinal in (0, 1)}


def test_every_node_lists_every_node(cluster: Cluster, quickstart: Manifest) -> None:
    name = quickstart["metadata"]["name"]
    key = api_key(cluster, name)
    for pod in sorted(_pods(name)):
        assert members(cluster, pod, key) == _pods(name), pod


def test_management_api_wants_its_key(cluster: Cluster, quickstart: Manifest) -> None:
    pod = f"{quickstart['metadata']['name']}-subscriber-0"
    with PortForward(cluster, "default", f"pod/{pod}", _HTTP_PORT) as forward:
        connection = http.client.HTTPConnection(*forward.address, timeout=10)
        connection.request("GET", "/api/v1/cluster/show")
        status = connection.getresponse().status
        connection.close()
    assert status == 401


def test_cookie_is_the_clusters_own(cluster: Cluster, quickstart: Manifest) -> None:
    name = quickstart["metadata"]["name"]
    cookie = _secret(cluster, f"{name}-broker", "cookie")
    assert len(cookie) >= 32
    for pod in sorted(_pods(name)):
        home = cluster.kubectl("exec", pod, "-n", "default", "--", "sh", "-c", "echo $HOME").strip()
        assert cluster.file(pod, f"{home}/.erlang.cookie").strip() == cookie, pod
        # It would win over the file, and be seen in the process list.
        assert "-setcookie" not in cluster.file(pod, "/vernemq/etc/vm.args"), pod


def test_restarted_subscriber_comes_back_as_itself(cluster: Cluster, quickstart: Manifest) -> None:
    name = quickstart["metadata"]["name"]
    pod = f"{name}-subscriber-1"
    before = cluster.existing("pod", pod)["metadata"]["uid"]
    claim = cluster.existing("pvc", f"data-{pod}")["metadata"]["uid"]
    cluster.delete("pod", pod)

    def back() -> bool:
        body = cluster.existing("pod", pod)
        ready = condition(body, "Ready").get("status") == "True"
        return ready and bool(body["metadata"]["uid"] != before)

    eventually(back, within=120, every=1, what=f"{pod} back and ready")
    assert cluster.existing("pvc", f"data-{pod}")["metadata"]["uid"] == claim
    key = api_key(cluster, name)
    for other in sorted(_pods(name)):
        eventually(
            lambda other=other: members(cluster, other, key) == _pods(name),  # type: ignore[misc]  # mypy cannot infer a lambda's default
            within=60,
            every=1,
            what=f"{other} lists all again",
        )
    wait_ready(cluster, name, within=60)


def test_a_node_whose_disk_is_lost_is_taken_in_again(
    cluster: Cluster, quickstart: Manifest
) -> None:
    name = quickstart["metadata"]["name"]
    wait_ready(cluster, name, within=60)
    pod = f"{name}-subscriber-1"
    before = _uid(cluster, "pod", pod)
    claim = _uid(cluster, "pvc", f"data-{pod}")
    cluster.delete("pvc", f"data-{pod}")
    cluster.delete("pod", pod, extra=["--grace-period=0", "--force"])
    eventually(
        lambda: (
            _uid(cluster, "pvc", f"data-{pod}") not in {claim, ""}
            and _uid(cluster, "pod", pod) not in {before, ""}
        ),
        within=90,
        every=1,
        what=f"{pod} on another volume",
    )
    body = wait_ready(cluster, name, within=120)
    key = api_key(cluster, name)
    for other in sorted(_pods(name)):
        assert members(cluster, other, key) == _pods(name), other
    assert {n["members"] for n in body["status"]["nodes"]} == {4}


def _uid(cluster: Cluster, kind: str, name: str) -> str:
    return str((cluster.get(kind, name) or {"metadata": {"uid": ""}})["metadata"]["uid"])


def test_a_node_that_is_deleted_while_it_starts_does_not_sit_out_its_grace_period(
    cluster: Cluster, quickstart: Manifest
) -> None:
    name = quickstart["metadata"]["name"]
    pod = f"{name}-subscriber-1"

    def uid() -> str:
        return str(cluster.existing("pod", pod)["metadata"]["uid"])

    def starts(before: str) -> str | None:
        body = cluster.existing("pod", pod)
        states = body["status"].get("containerStatuses") or []
        running = any("running" in c["state"] for c in states)
        return uid() if running and body["metadata"]["uid"] != before else None

    first = uid()
    cluster.delete("pod", pod)
    second = eventually(lambda: starts(first), within=60, every=0.2, what=f"{pod} starts")
    cluster.delete("pod", pod)
    eventually(lambda: uid() != second, within=30, every=0.5, what=f"{pod} made anew at once")
    wait_ready(cluster, name, within=120)
