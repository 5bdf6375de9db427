"""Secrets of the brokers, rotated; strangers with VerneMQ's default cookie."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Iterator

import pytest

from e2e.kit import samples
from e2e.kit.cluster import Cluster, KubectlError, Manifest, condition
from e2e.kit.eventually import eventually
from e2e.kit.issuer import Issuer
from e2e.kit.loadbalancer import door
from e2e.kit.phone import Address, Phone
from e2e.kit.portforward import PortForward
from e2e.kit.ready import wait_ready

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("vault")]

_NAME, _NAMESPACE = "vault", "e2e-rotation"
_PODS = (f"{_NAME}-publisher-0", f"{_NAME}-subscriber-0")
_HTTP_PORT = 8888
_SUFFIX = f"{_NAME}-nodes.{_NAMESPACE}.svc.cluster.local"


@pytest.fixture(scope="module")
def vault(cluster: Cluster, issuer: Issuer) -> Iterator[Manifest]:
    """A small object of this file's own."""
    cluster.ensure_namespace(_NAMESPACE)
    body = samples.tiny(_NAME, _NAMESPACE)
    cluster.apply(samples.key_set(_NAME, _NAMESPACE, issuer), body, namespace=_NAMESPACE)
    wait_ready(cluster, _NAME, _NAMESPACE, within=240)
    yield body
    cluster.delete(samples.KIND, _NAME, _NAMESPACE)
    cluster.delete("namespace", _NAMESPACE)


@pytest.fixture
def address(cluster: Cluster) -> Iterator[Address]:
    with door(cluster, _NAMESPACE, f"{_NAME}-subscriber") as found:
        yield found


def _secret(cluster: Cluster) -> dict[str, str]:
    data = cluster.existing("secret", f"{_NAME}-broker", _NAMESPACE)["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def _accepts(cluster: Cluster, pod: str, key: str) -> bool:
    with PortForward(cluster, _NAMESPACE, f"pod/{pod}", _HTTP_PORT) as forward:
        connection = http.client.HTTPConnection(*forward.address, timeout=10)
        basic = base64.b64encode(f"{key}:".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
        connection.request("GET", "/api/v1/cluster/show", headers=headers)
        status = connection.getresponse().status
        connection.close()
    assert status in {200, 401}
    return status == 200


def _uids(cluster: Cluster) -> dict[str, str]:
    return {p: cluster.existing("pod", p, _NAMESPACE)["metadata"]["uid"] for p in _PODS}


def _rotate(cluster: Cluster, what: str, value: str) -> None:
    cluster.kubectl(
        "annotate", samples.KIND, _NAME, "-n", _NAMESPACE, "--overwrite",
        f"liveconnect.io/rotate-{what}={value}",
    )  # fmt: skip


def _rotating(cluster: Cluster) -> Manifest:
    return condition(cluster.existing(samples.KIND, _NAME, _NAMESPACE), "CredentialsRotating")


def _events(cluster: Cluster) -> set[str]:
    return {e["reason"] for e in cluster.items("events", _NAMESPACE)}


def test_the_api_key_is_rotated_live(cluster: Cluster, issuer: Issuer, address: Address) -> None:
    before, uids = _secret(cluster), _uids(cluster)
    phone = Phone("stays", issuer.token("stays", "4711"))
    assert phone.connect(address) == 0
    _rotate(cluster, "api-key", "1")

    def rotated() -> bool:
        now = _secret(cluster)
        assert now["api-key"] != before["api-key"], _rotating(cluster)["message"]
        assert "api-key-previous" not in now, _rotating(cluster)["message"]
        return bool(_rotating(cluster)["status"] == "False")

    eventually(rotated, within=150, every=1, what="the API key is rotated")
    new = _secret(cluster)["api-key"]
    for pod in _PODS:
        assert (_accepts(cluster, pod, new), _accepts(cluster, pod, before["api-key"])) == (
            True, False,
        ), pod  # fmt: skip
    assert _uids(cluster) == uids
    assert phone.connected()
    phone.disconnect()
    assert "ApiKeyRotated" in _events(cluster)
    wait_ready(cluster, _NAME, _NAMESPACE, within=60)


def test_a_node_that_restarts_after_it_takes_the_new_key_only(cluster: Cluster) -> None:
    key = _secret(cluster)["api-key"]
    uid = _uids(cluster)[_PODS[1]]
    cluster.delete("pod", _PODS[1], _NAMESPACE)
    eventually(lambda: _uids(cluster)[_PODS[1]] != uid, within=60, every=1, what="a new pod")
    wait_ready(cluster, _NAME, _NAMESPACE, within=120)
    assert _accepts(cluster, _PODS[1], key)


def test_a_broker_with_the_default_cookie_is_refused(cluster: Cluster) -> None:
    # The labels let it pass the NetworkPolicies, as if it were one of the brokers.
    conf = (
        "nodename = VerneMQ@$POD_IP",
        "metadata_plugin = vmq_swc",
        "listener.vmq.clustering = $POD_IP:44053",
        "listener.http.default = 127.0.0.1:8888",
        "erlang.distribution.port_range.minimum = 9100",
        "erlang.distribution.port_range.maximum = 9109",
    )
    lines = "\\n".join(conf)
    script = (
        f'printf "{lines}\\n" > /vernemq/etc/vernemq.conf; '
        'printf -- "-name VerneMQ@$POD_IP\\n-setcookie vmq\\n" > /vernemq/etc/vm.args; '
        'printf \'[{vmq_server, [{http_endpoint_api_keys, [{<<"intruder">>, "mgmt", '
        "undefined}]}]}].' > /vernemq/etc/advanced.config; "
        "exec /vernemq/bin/vernemq console -noshell -noinput"
    )
    pod: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "intruder",
            "namespace": _NAMESPACE,
            "labels": {"app.kubernetes.io/instance": _NAME, "liveconnect.io/broker": "true"},
        },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsUser": 10000, "runAsGroup": 10000, "fsGroup": 10000},
            "containers": [
                {
                    "name": "vernemq",
                    "image": samples.broker_image(),
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c", script],
                    "env": [
                        {
                            "name": "POD_IP",
                            "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}},
                        }
                    ],
                }
            ],
        },
    }
    cluster.apply(pod, namespace=_NAMESPACE)
    try:
        _refused(cluster)
    finally:
        cluster.delete("pod", "intruder", _NAMESPACE)


def _refused(cluster: Cluster) -> None:
    def inside(command: str) -> str:
        return cluster.kubectl("exec", "intruder", "-n", _NAMESPACE, "--", "sh", "-c", command)

    def up() -> bool:
        try:
            return "OK" in inside("curl -s http://127.0.0.1:8888/health")
        except KubectlError:
            return False

    eventually(up, within=60, every=1, what="the intruder runs")
    for target in _PODS:
        host = f"{target}.{_SUFFIX}"
        # It reaches the port (28: the time is up, connected; 6, 7: no such host, refused) …
        reached = inside(f"curl -s -m 2 telnet://{host}:44053 </dev/null; echo $?").strip()
        assert reached in {"0", "28", "49", "56"}, reached
        # … and is not taken in.
        answer = inside(
            "curl -s -m 15 -o /dev/null -w '%{http_code}' -u intruder: "
            f"'http://127.0.0.1:8888/api/v1/cluster/join?discovery-node=VerneMQ@{host}'"
        )
        assert answer.strip() == "500", answer
    body = cluster.existing(samples.KIND, _NAME, _NAMESPACE)
    assert {n["members"] for n in body["status"]["nodes"]} == {len(_PODS)}
    members = inside("curl -s -u intruder: http://127.0.0.1:8888/api/v1/cluster/show")
    assert _NAME not in members


def test_the_cookie_is_rotated_by_a_restart_of_all_nodes(cluster: Cluster) -> None:
    before, uids = _secret(cluster)["cookie"], _uids(cluster)
    _rotate(cluster, "cookie", "1")

    def restarted() -> bool:
        return not set(_uids(cluster).values()) & set(uids.values())

    eventually(restarted, within=120, every=1, what="all nodes are new")
    wait_ready(cluster, _NAME, _NAMESPACE, within=180)
    cookie = _secret(cluster)["cookie"]
    assert cookie != before
    for pod in _PODS:
        shown = cluster.kubectl(
            "exec", pod, "-n", _NAMESPACE, "--", "sh", "-c", "cat $HOME/.erlang.cookie"
        )
        assert shown.strip() == cookie, pod
    assert "RotatingCookie" in _events(cluster)
    eventually(lambda: _rotating(cluster)["status"] == "False", within=60, every=1, what="done")
    body = cluster.existing(samples.KIND, _NAME, _NAMESPACE)
    assert {n["members"] for n in body["status"]["nodes"]} == {len(_PODS)}
