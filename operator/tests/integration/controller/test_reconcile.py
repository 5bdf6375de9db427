"""The operator's loop against a real API server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hack.golden import rendered
from liveconnect.api.v1alpha1 import Cluster
from tests.integration.controller.conftest import Eventually, Kube, Operator

pytestmark = pytest.mark.integration

KINDS = (
    "serviceaccounts", "secrets", "configmaps", "services", "networkpolicies",
    "poddisruptionbudgets", "statefulsets", "deployments",
)  # fmt: skip


def cluster(name: str = "demo", **spec: Any) -> dict[str, Any]:
    jwt = {
        "issuer": "https://issuer.example",
        "audiences": ["devices"],
        "jwksURI": "https://issuer.example/jwks",
    }
    return {
        "apiVersion": "liveconnect.io/v1alpha1",
        "kind": "LiveConnectCluster",
        "metadata": {"name": name},
        "spec": {"broker": {"image": "broker:test"}, "auth": {"tokens": [{"jwt": jwt}]}, **spec},
    }


def children() -> int:
    """How many objects stand for one."""
    body = cluster()
    body["metadata"] |= {"namespace": "ns", "uid": "u"}
    return len(rendered(Cluster.parse(body)))


CHILDREN = children()
KEYS = '{"keys": [{"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}]}'


def ready(kube: Kube, name: str = "demo") -> dict[str, Any]:
    status = kube.get("lcc", name)["status"]
    found: dict[str, Any] = next(c for c in status["conditions"] if c["type"] == "Ready")
    return found


def test_one_object_becomes_all_children(kube: Kube, eventually: Eventually) -> None:
    kube.apply(cluster())
    eventually(lambda: len(kube.names(*KINDS)) == CHILDREN)
    sets = kube.get("statefulset", "demo-subscriber")
    assert sets["spec"]["replicas"] == 2
    owner = sets["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["controller"]) == ("LiveConnectCluster", True)
    condition = eventually(lambda: (c := ready(kube))["reason"] != "Waiting" and c)
    assert condition["status"] == "False"
    assert condition["observedGeneration"] == 1


def test_it_says_that_it_is_well_and_what_it_did(
    kube: Kube, eventually: Eventually, operator_process: Operator
) -> None:
    kube.apply(cluster())
    eventually(lambda: len(kube.names(*KINDS)) == CHILDREN)
    assert operator_process.page("/healthz")
    assert operator_process.page("/readyz")
    assert operator_process.metric("liveconnect_controller_passes_total") > 0
    assert operator_process.metric("liveconnect_controller_writes_total") >= CHILDREN


def test_nothing_of_kopf_is_left_in_the_object(kube: Kube, eventually: Eventually) -> None:
    kube.apply(cluster())
    eventually(lambda: kube.names("statefulsets"))
    meta = kube.get("lcc", "demo")["metadata"]
    assert "finalizers" not in meta
    assert not any("kopf" in key for key in meta.get("annotations", {}))


@pytest.mark.parametrize(
    ("kind", "name"),
    [("configmap", "demo-auth"), ("service", "demo-publisher"), ("deployment", "demo-auth")],
)
def test_a_deleted_child_comes_back(
    kube: Kube, eventually: Eventually, kind: str, name: str
) -> None:
    kube.apply(cluster())
    uid = eventually(lambda: kube.get(kind, name)["metadata"]["uid"])
    kube("delete", kind, name)
    eventually(lambda: kube.get(kind, name)["metadata"]["uid"] != uid)


def test_an_edited_child_is_repaired(kube: Kube, eventually: Eventually) -> None:
    kube.apply(cluster())
    eventually(lambda: len(kube.names(*KINDS)) == CHILDREN)
    kube("patch", "configmap", "demo-auth", "--type=merge", "-p", '{"data":{"config.json":"{}"}}')
    eventually(lambda: kube.get("configmap", "demo-auth")["data"]["config.json"] != "{}")
    kube("scale", "statefulset/demo-gateway", "--replicas=5")
    eventually(lambda: kube.get("statefulset", "demo-gateway")["spec"]["replicas"] == 2)


@pytest.mark.parametrize(
    "port",
    [
        {"name": "mqtt", "port": 1884, "targetPort": 1884},  # invalid together with ours
        {"name": "more", "port": 1885, "targetPort": 1885},  # valid beside ours
    ],
    ids=["instead", "beside"],
)
def test_a_port_of_somebody_else_goes(
    kube: Kube, eventually: Eventually, port: dict[str, Any]
) -> None:
    kube.apply(cluster())

    def ports() -> list[int]:
        return [p["port"] for p in kube.get("service", "demo-publisher")["spec"]["ports"]]

    eventually(lambda: ports() == [1883])
    if port["name"] == "mqtt":
        kube("patch", "service", "demo-publisher", "-p", json.dumps({"spec": {"ports": [port]}}),
             "--type=merge")  # fmt: skip
    else:
        change = [{"op": "add", "path": "/spec/ports/-", "value": port}]
        kube("patch", "service", "demo-publisher", "-p", json.dumps(change), "--type=json")
    eventually(lambda: ports() == [1883])
    # Repaired for good: the object is not busy with it any more.
    kube("annotate", "lcc", "demo", "test/poke=1")
    eventually(lambda: ready(kube)["reason"] != "ReconcileFailed")


def test_a_deleted_secret_comes_back_with_the_same_cookie(
    kube: Kube, eventually: Eventually
) -> None:
    kube.apply(cluster())
    cookie = eventually(lambda: kube.get("secret", "demo-broker")["data"]["cookie"])
    kube("delete", "secret", "demo-broker")
    assert eventually(lambda: kube.get("secret", "demo-broker")["data"]["cookie"]) == cookie


def test_an_edit_reaches_the_pods(kube: Kube, eventually: Eventually) -> None:
    kube.apply(cluster())

    def config_hash() -> str:
        template = kube.get("statefulset", "demo-subscriber")["spec"]["template"]
        value: str = template["metadata"]["annotations"]["liveconnect.io/config-hash"]
        return value

    before = eventually(config_hash)
    kube.apply(cluster(broker={"image": "broker:test", "config": {"topic_max_depth": "12"}}))
    eventually(lambda: config_hash() != before)
    config = kube.get("configmap", "demo-subscriber")["data"]["vernemq.conf"]
    assert "topic_max_depth = 12\n" in config


def test_a_managed_store_goes_when_an_external_one_is_named(
    kube: Kube, eventually: Eventually
) -> None:
    kube.apply(cluster())
    eventually(lambda: "statefulset.apps/demo-presence" in kube.names("statefulsets"))
    kube("create", "secret", "generic", "store", "--from-literal=url=redis://store:6379/0")
    reference = {"urlSecretRef": {"name": "store", "key": "url"}}
    kube.apply(cluster(presence={"store": {"external": reference}}))
    eventually(lambda: "statefulset.apps/demo-presence" not in kube.names("statefulsets"))


def test_a_missing_secret_is_said_and_healed_while_others_go_on(
    kube: Kube, eventually: Eventually
) -> None:
    jwt = {
        "issuer": "https://issuer.example",
        "audiences": ["devices"],
        "jwksSecretRef": {"name": "keys", "key": "jwks.json"},
    }
    kube.apply(cluster("broken", auth={"tokens": [{"jwt": jwt}]}))
    kube.apply(cluster("sound"))
    condition = eventually(
        lambda: (c := ready(kube, "broken"))["reason"] == "MissingReference" and c
    )
    assert "there is no Secret keys" in condition["message"]
    eventually(lambda: "deployment.apps/sound-auth" in kube.names("deployments"))
    kube("create", "secret", "generic", "keys", f"--from-literal=jwks.json={KEYS}")
    eventually(lambda: ready(kube, "broken")["reason"] != "MissingReference", within=20)


def test_idle_writes_nothing(kube: Kube, eventually: Eventually) -> None:
    kube.apply(cluster())
    eventually(lambda: len(kube.names(*KINDS)) == CHILDREN)

    def versions() -> str:
        # Kubernetes' own controllers write the status of these.
        others = {"statefulsets", "deployments", "poddisruptionbudgets"}
        kinds = ",".join(k for k in KINDS if k not in others)
        path = "{range .items[*]}{.metadata.uid}={.metadata.resourceVersion} {end}"
        return kube(
            "get", kinds, "-l", "app.kubernetes.io/part-of=liveconnect", "-o", f"jsonpath={path}"
        )

    # The load balancer's address is somebody else's write: wait for it first.
    eventually(lambda: kube.get("service", "demo-subscriber")["status"]["loadBalancer"]["ingress"])
    settled = versions()
    # Several passes later (one is due every two seconds while the pods are not ready) …
    before = kube.get("lcc", "demo")["metadata"]["resourceVersion"]
    kube("annotate", "lcc", "demo", "test/poke=1")
    eventually(lambda: kube.get("lcc", "demo")["metadata"]["resourceVersion"] != before)
    kube("annotate", "lcc", "demo", "test/poke=2", "--overwrite")
    assert versions() == settled


def test_killed_at_any_time_the_next_one_goes_on(
    kube: Kube, eventually: Eventually, operator_process: Operator
) -> None:
    kube.apply(cluster())
    eventually(lambda: kube.names("services"))
    operator_process.kill()
    operator_process.start()
    eventually(lambda: len(kube.names(*KINDS)) == CHILDREN, within=30)
    cookie = kube.get("secret", "demo-broker")["data"]["cookie"]
    operator_process.kill()
    kube("delete", "configmap", "demo-auth")
    operator_process.start()
    eventually(lambda: kube.get("configmap", "demo-auth"), within=30)
    assert kube.get("secret", "demo-broker")["data"]["cookie"] == cookie


def test_deletion_removes_everything(kube: Kube, eventually: Eventually) -> None:
    kube.apply(cluster())
    eventually(lambda: len(kube.names(*KINDS)) == CHILDREN)
    kube("delete", "lcc", "demo")
    eventually(lambda: not kube.names(*KINDS, "pods"), within=30)


def test_no_secret_value_reaches_the_log_or_the_status(
    kube: Kube, eventually: Eventually, operator_process: Operator
) -> None:
    import base64  # noqa: PLC0415 - only here

    kube.apply(cluster())
    data = eventually(lambda: kube.get("secret", "demo-broker")["data"])
    eventually(lambda: ready(kube)["reason"] != "Waiting")
    log, status = operator_process.log.read_text(), str(kube.get("lcc", "demo")["status"])
    for value in data.values():
        plain = base64.b64decode(value).decode()
        assert plain not in log
        assert plain not in status


def test_somebody_elses_object_of_the_same_name_is_left_alone(
    kube: Kube, eventually: Eventually
) -> None:
    kube("create", "configmap", "demo-auth", "--from-literal=mine=1")
    kube.apply(cluster())
    condition = eventually(lambda: (c := ready(kube))["reason"] == "ReconcileFailed" and c)
    assert "ConfigMap/demo-auth: exists and does not belong to this object" in condition["message"]
    assert kube.get("configmap", "demo-auth")["data"] == {"mine": "1"}
    kube("delete", "configmap", "demo-auth")
    eventually(lambda: len(kube.names(*KINDS)) == CHILDREN, within=30)


def test_a_paused_object_is_only_looked_at(kube: Kube, eventually: Eventually) -> None:
    kube.apply(cluster())
    eventually(lambda: len(kube.names(*KINDS)) == CHILDREN)
    kube("annotate", "lcc", "demo", "liveconnect.io/paused=true")

    def paused() -> bool:
        conditions = kube.get("lcc", "demo")["status"]["conditions"]
        return any(c["type"] == "Paused" and c["status"] == "True" for c in conditions)

    eventually(paused)
    kube("scale", "statefulset/demo-gateway", "--replicas=5")
    kube.apply(cluster(gateway={"replicas": 3}))
    eventually(lambda: kube.get("lcc", "demo")["status"]["observedGeneration"] == 2)
    assert kube.get("statefulset", "demo-gateway")["spec"]["replicas"] == 5
    kube("annotate", "lcc", "demo", "liveconnect.io/paused-")
    eventually(lambda: kube.get("statefulset", "demo-gateway")["spec"]["replicas"] == 3)
