"""The operator: repairs, rolls, refuses, cleans up, and is in nobody's way."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from e2e.kit.cluster import Cluster, KubectlError, Manifest, condition
from e2e.kit.eventually import eventually
from e2e.kit.install import DEPLOYMENT, NAMESPACE
from e2e.kit.issuer import Issuer
from e2e.kit.loadbalancer import door
from e2e.kit.microservice import Microservice
from e2e.kit.phone import Phone
from e2e.kit.ready import wait_ready
from e2e.kit.samples import KIND, key_set, tiny

pytestmark = pytest.mark.e2e
_REPAIRED_WITHIN_SECONDS = 20
_REPLICAS = 2
_SAME_NAMES = [{"name": "a", "port": 1883}, {"name": "a", "port": 1884}]


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("service", "publisher"),
        ("configmap", "auth"),
        ("poddisruptionbudget", "subscriber"),
        ("networkpolicy", "auth"),
    ],
)
def test_deleted_child_is_made_again(
    cluster: Cluster, quickstart: Manifest, kind: str, suffix: str
) -> None:
    name = f"{quickstart['metadata']['name']}-{suffix}"
    before = cluster.existing(kind, name)["metadata"]["uid"]
    cluster.delete(kind, name)
    eventually(
        lambda: cluster.existing(kind, name)["metadata"]["uid"] != before,
        within=_REPAIRED_WITHIN_SECONDS,
        what=f"{kind}/{name} made again",
    )


def _edited_replicas(body: Manifest) -> Any:
    return body["spec"]["replicas"]


def _edited_port(body: Manifest) -> Any:
    return [p["port"] for p in body["spec"]["ports"]]


def _edited_label(body: Manifest) -> Any:
    return body["metadata"]["labels"]["app.kubernetes.io/component"]


@pytest.mark.parametrize(
    ("kind", "suffix", "patch", "field"),
    [
        ("statefulset", "gateway", {"spec": {"replicas": 1}}, _edited_replicas),
        (
            "service",
            "publisher",
            {"spec": {"ports": [{"name": "mqtt", "port": 1884, "targetPort": 1884}]}},
            _edited_port,
        ),
        (
            "configmap",
            "publisher",
            {"metadata": {"labels": {"app.kubernetes.io/component": "mine"}}},
            _edited_label,
        ),
    ],
)
def test_edited_child_is_repaired(
    cluster: Cluster,
    quickstart: Manifest,
    kind: str,
    suffix: str,
    patch: Manifest,
    field: Callable[[Manifest], Any],
) -> None:
    name = f"{quickstart['metadata']['name']}-{suffix}"
    before = field(cluster.existing(kind, name))
    cluster.patch(kind, name, patch)
    eventually(
        lambda: field(cluster.existing(kind, name)) == before,
        within=_REPAIRED_WITHIN_SECONDS,
        what=f"{kind}/{name} as it was",
    )


def _refused(**spec: Any) -> dict[str, Any]:
    return tiny("refused", "default", **spec)["spec"]  # type: ignore[no-any-return]  # a manifest


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (_refused(broker={"image": "vernemq/vernemq:2.1.2"}), "acceptEULA"),
        (
            _refused(subscribers={"replicas": 2, "autoscaling": {"maxReplicas": 3}}),
            "spec.subscribers",
        ),
        (_refused(publishers={"replicas": 0}), "spec.publishers.replicas"),
        (_refused(publishers={"replicsa": 2}), "replicsa"),
        (_refused(subscribers={"listeners": _SAME_NAMES}), "spec.subscribers.listeners"),
        (_refused(broker={"config": {"allow_anonymous": "on"}}), "spec.broker.config"),
        (_refused(auth={"tokens": []}), "spec.auth.tokens"),
    ],
    ids=["eula", "replicas-xor-autoscaling", "bound", "typo", "listener-names", "config", "tokens"],
)
@pytest.mark.usefixtures("quickstart")
def test_invalid_object_is_refused_naming_the_field(
    cluster: Cluster, spec: dict[str, Any], field: str
) -> None:
    body = {**tiny("refused", "default"), "spec": spec}
    with pytest.raises(KubectlError) as refusal:
        cluster.apply(body)
    assert field in str(refusal.value)
    assert cluster.get(KIND, "refused") is None


@pytest.fixture
def keyless(cluster: Cluster) -> Iterator[Manifest]:
    """An object that refers to a Secret that is not there."""
    body = tiny("keyless", "e2e-keyless")
    cluster.ensure_namespace("e2e-keyless")
    cluster.apply(body, namespace="e2e-keyless")
    yield body
    cluster.delete(KIND, "keyless", "e2e-keyless")
    cluster.delete("namespace", "e2e-keyless")


def test_missing_key_set_is_reported_and_others_are_served(
    cluster: Cluster, issuer: Issuer, quickstart: Manifest, keyless: Manifest
) -> None:
    meta = keyless["metadata"]

    def reason() -> tuple[str, str, bool]:
        seen = condition(cluster.existing(KIND, meta["name"], meta["namespace"]), "Ready")
        named = "keyless-jwks" in seen["message"]
        return seen["status"], seen["reason"], named

    eventually(
        lambda: reason() == ("False", "MissingReference", True), within=30, what="Ready says why"
    )
    # The other object is still looked after.
    budget = f"{quickstart['metadata']['name']}-gateway"
    before = cluster.existing("poddisruptionbudget", budget)["metadata"]["uid"]
    cluster.delete("poddisruptionbudget", budget)
    eventually(
        lambda: cluster.existing("poddisruptionbudget", budget)["metadata"]["uid"] != before,
        within=_REPAIRED_WITHIN_SECONDS,
        what="the other object's child made again",
    )
    # The remedy works: the Secret comes, the reason goes.
    cluster.apply(key_set("keyless", meta["namespace"], issuer), namespace=meta["namespace"])
    eventually(
        lambda: reason()[1] != "MissingReference", within=60, every=1, what="the reason goes"
    )


def test_kubectl_wait_works(cluster: Cluster, quickstart: Manifest) -> None:
    target = f"liveconnect/{quickstart['metadata']['name']}"
    out = cluster.kubectl("wait", "--for=condition=Ready", target, "--timeout=120s", timeout=130)
    assert "condition met" in out


def _operator_pods(cluster: Cluster) -> list[Manifest]:
    selector = "app.kubernetes.io/name=liveconnect-operator"
    return cluster.items("pods", NAMESPACE, selector)


def test_killed_operator_is_replaced_within_twenty_seconds(
    cluster: Cluster, quickstart: Manifest
) -> None:
    lease = cluster.existing("lease", DEPLOYMENT, NAMESPACE)
    pod = lease["spec"]["holderIdentity"].partition("_")[0]
    assert pod in {p["metadata"]["name"] for p in _operator_pods(cluster)}
    cluster.delete("pod", pod, NAMESPACE, extra=["--grace-period=0", "--force"])
    test_deleted_child_is_made_again(cluster, quickstart, "service", "publisher")
    eventually(
        lambda: len([p for p in _operator_pods(cluster) if _is_ready(p)]) == _REPLICAS,
        within=90,
        every=1,
        what="all operator pods ready again",
    )


def _is_ready(pod: Manifest) -> bool:
    return bool(condition(pod, "Ready").get("status") == "True")


@pytest.fixture
def without_operator(cluster: Cluster) -> Iterator[None]:
    cluster.kubectl("scale", "deployment", DEPLOYMENT, "-n", NAMESPACE, "--replicas=0")
    eventually(lambda: not _operator_pods(cluster), within=60, every=1, what="no operator pod")
    yield
    cluster.kubectl("scale", "deployment", DEPLOYMENT, "-n", NAMESPACE, f"--replicas={_REPLICAS}")
    eventually(
        lambda: (
            all(_is_ready(p) for p in _operator_pods(cluster)) and bool(_operator_pods(cluster))
        ),
        within=90,
        every=1,
        what="the operator back",
    )


@pytest.mark.usefixtures("without_operator")
def test_devices_need_no_operator(
    cluster: Cluster, issuer: Issuer, quickstart: Manifest, orders: Microservice
) -> None:
    service = f"{quickstart['metadata']['name']}-subscriber"
    client_id = f"alone-{uuid.uuid4().hex[:6]}"
    phone = Phone(client_id, issuer.token(client_id, "99"))
    with door(cluster, "default", service) as address:
        assert phone.connect(address) == 0
        assert phone.subscribe("orders/99/+/status") == 2

        def posted() -> bool:
            payload = uuid.uuid4().hex
            assert orders.publish("orders/99/1/status", payload, 1).status == 200
            return bool(eventually(lambda: phone.with_payload(payload), within=2, every=0.05))

        eventually(posted, within=15, what="a message on the phone")
        phone.disconnect()


def test_an_option_that_needs_no_restart_reaches_the_running_nodes(
    cluster: Cluster, small: Manifest
) -> None:
    name, namespace = small["metadata"]["name"], small["metadata"]["namespace"]
    pods = [f"{name}-publisher-0", f"{name}-subscriber-0"]
    before = {pod: cluster.existing("pod", pod, namespace)["metadata"]["uid"] for pod in pods}
    changed = copy.deepcopy(small)
    changed["spec"]["broker"]["config"] = {"max_message_size": "54321"}
    cluster.apply(changed, namespace=namespace)
    show = (
        'curl -s -u "$(cat /etc/liveconnect/secret/api-key):" '
        "http://127.0.0.1:8888/api/v1/show/max_message_size"
    )
    for pod in pods:
        eventually(
            lambda pod=pod: (  # type: ignore[misc]  # mypy cannot infer a lambda's default
                "54321" in cluster.kubectl("exec", pod, "-n", namespace, "--", "sh", "-c", show)
            ),
            within=30,
            every=1,
            what=f"{pod} takes it",
        )
    wait_ready(cluster, name, namespace, within=60)
    assert before == {p: cluster.existing("pod", p, namespace)["metadata"]["uid"] for p in pods}


def test_an_option_that_the_broker_does_not_know_is_named_and_goes_no_further(
    cluster: Cluster, small: Manifest
) -> None:
    name, namespace = small["metadata"]["name"], small["metadata"]["namespace"]
    subscriber = f"{name}-subscriber-0"
    before = cluster.existing("pod", subscriber, namespace)["metadata"]["uid"]
    changed = copy.deepcopy(small)
    changed["spec"]["broker"]["config"] = {"no_such_option": "1"}
    cluster.apply(changed, namespace=namespace)

    def said() -> str:
        return str(condition(cluster.existing(KIND, name, namespace), "Ready").get("message"))

    eventually(
        lambda: "attempted to set unknown variable: no_such_option" in said(),
        within=120,
        every=1,
        what="Ready names the option",
    )
    assert cluster.existing("pod", subscriber, namespace)["metadata"]["uid"] == before
    cluster.apply(small, namespace=namespace)
    wait_ready(cluster, name, namespace, within=180)


def test_edited_field_reaches_the_pods(cluster: Cluster, small: Manifest) -> None:
    name, namespace = small["metadata"]["name"], small["metadata"]["namespace"]
    pods = [f"{name}-publisher-0", f"{name}-subscriber-0"]
    before = {pod: cluster.existing("pod", pod, namespace)["metadata"]["uid"] for pod in pods}
    changed = copy.deepcopy(small)
    changed["spec"]["broker"]["config"] = {"topic_max_depth": "13"}
    cluster.apply(changed, namespace=namespace)
    # Asked at once: what was true before the edit does not count.
    cluster.kubectl(
        "wait", "--for=condition=Ready", f"liveconnect/{name}", "-n", namespace,
        "--timeout=240s", timeout=250,
    )  # fmt: skip
    for pod in pods:
        body = cluster.existing("pod", pod, namespace)
        assert body["metadata"]["uid"] != before[pod], f"{pod} was not rolled yet"
        assert condition(body, "Ready").get("status") == "True", pod
        assert "topic_max_depth = 13" in cluster.file(pod, "/vernemq/etc/vernemq.conf", namespace)


def test_a_bad_image_stops_at_the_first_node_and_taking_it_back_recovers(
    cluster: Cluster, small: Manifest
) -> None:
    name, namespace = small["metadata"]["name"], small["metadata"]["namespace"]
    wait_ready(cluster, name, namespace, within=120)
    uid = cluster.existing("pod", f"{name}-subscriber-0", namespace)["metadata"]["uid"]
    image = small["spec"]["broker"]["image"]
    cluster.patch(KIND, name, {"spec": {"broker": {"image": "nowhere.invalid/no:1"}}}, namespace)

    def said() -> bool:
        ready = condition(cluster.existing(KIND, name, namespace), "Ready")
        assert ready["status"] == "False"
        assert f"{name}-publisher-0" in ready["message"], ready["message"]
        assert "Image" in ready["message"], ready["message"]
        return str(ready["reason"]) == "PodTrouble"

    eventually(said, within=90, every=1, what="the message names the node and its image")
    assert cluster.existing("pod", f"{name}-subscriber-0", namespace)["metadata"]["uid"] == uid
    cluster.patch(KIND, name, {"spec": {"broker": {"image": image}}}, namespace)
    wait_ready(cluster, name, namespace, within=180)
    assert cluster.existing("pod", f"{name}-subscriber-0", namespace)["metadata"]["uid"] == uid


def test_deletion_removes_everything(cluster: Cluster, small: Manifest) -> None:
    name, namespace = small["metadata"]["name"], small["metadata"]["namespace"]
    kinds = (
        "statefulsets,deployments,replicasets,pods,services,configmaps,secrets,serviceaccounts,"
        "persistentvolumeclaims,poddisruptionbudgets,networkpolicies"
    )

    def ours() -> list[str]:
        found = cluster.items(kinds, namespace, f"app.kubernetes.io/instance={name}")
        return [f"{i['kind']}/{i['metadata']['name']}" for i in found]

    assert any(i.startswith("PersistentVolumeClaim/") for i in ours())
    cluster.delete(KIND, name, namespace)
    eventually(
        lambda: cluster.get(KIND, name, namespace) is None, within=90, every=1, what="object gone"
    )

    def nothing_left() -> bool:
        left = ours()
        assert not left, left
        return True

    eventually(nothing_left, within=120, every=1, what="everything it made is gone")
