"""Volumes against a real API server: its admission, its StatefulSets, its garbage collector."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.controller.conftest import Eventually, Kube, Operator
from tests.integration.controller.test_reconcile import cluster, ready
from tests.integration.controller.volumes import Driver

pytestmark = pytest.mark.integration

_STORE = {"store": {"external": {"urlSecretRef": {"name": "store", "key": "url"}}}}


def with_storage(driver: Driver, name: str = "demo", **subscribers: Any) -> dict[str, Any]:
    storage = {"storageClassName": driver.name, **subscribers}
    publishers = {"storageClassName": driver.name}
    return cluster(
        name,
        publishers={"replicas": 1, "storage": publishers},
        subscribers={"replicas": 2, "storage": storage},
        presence=_STORE,
        gateway={"replicas": 1, "outbox": {"storage": {"storageClassName": driver.name}}},
    )


def condition(kube: Kube, kind: str, name: str = "demo") -> dict[str, Any]:
    conditions = kube.get("lcc", name)["status"]["conditions"]
    found: dict[str, Any] = next(c for c in conditions if c["type"] == kind)
    return found


def stateful_set(kube: Kube, name: str = "demo-subscriber") -> dict[str, Any]:
    return kube.get("statefulset", name)


def size(body: dict[str, Any]) -> str:
    template = body["spec"]["volumeClaimTemplates"][0]
    found: str = template["spec"]["resources"]["requests"]["storage"]
    return found


def pods(kube: Kube) -> set[str]:
    path = "{range .items[*]}{.metadata.name}={.metadata.uid} {end}"
    return set(kube("get", "pods", "-o", f"jsonpath={path}").split())


@pytest.fixture
def driver(kube: Kube) -> Driver:
    """A class whose volumes can grow, and a Secret for the presence store."""
    kube("create", "secret", "generic", "store", "--from-literal=url=redis://store:6379/0")
    return Driver(kube, expandable=True)


def test_volumes_grow_without_a_restart(kube: Kube, eventually: Eventually, driver: Driver) -> None:
    kube.apply(with_storage(driver))
    eventually(lambda: len(driver.claims()) == 4 and driver.provide(), within=30)
    eventually(lambda: condition(kube, "StorageReady")["status"] == "True")
    before, running = stateful_set(kube)["metadata"]["uid"], pods(kube)
    kube.apply(with_storage(driver, size="3Gi"))
    eventually(lambda: driver.sizes("subscriber") == {"3Gi"})
    assert driver.sizes("publisher") == {"1Gi"}
    growing = eventually(lambda: (c := condition(kube, "StorageReady"))["status"] == "False" and c)
    assert growing["reason"] == "VolumeGrowing"
    eventually(lambda: (s := stateful_set(kube)) and size(s) == "3Gi", within=30)
    assert stateful_set(kube)["metadata"]["uid"] != before
    driver.resize()
    eventually(lambda: condition(kube, "StorageReady")["status"] == "True")
    eventually(lambda: stateful_set(kube)["status"].get("replicas") == 2)
    assert pods(kube) == running
    owners = [c["metadata"].get("ownerReferences") for c in driver.claims()]
    assert all(owners), "the claims go with the StatefulSet again"


def test_growth_goes_on_after_the_operator_died(
    kube: Kube, eventually: Eventually, driver: Driver, operator_process: Operator
) -> None:
    kube.apply(with_storage(driver))
    eventually(lambda: len(driver.claims()) == 4 and driver.provide(), within=30)
    running = pods(kube)
    operator_process.kill()
    kube.apply(with_storage(driver, size="3Gi"))
    # Killed between the deletion of the StatefulSet and the next one:
    kube("delete", "statefulset", "demo-subscriber", "--cascade=orphan")
    operator_process.start()
    eventually(lambda: driver.sizes("subscriber") == {"3Gi"}, within=30)
    eventually(lambda: size(stateful_set(kube)) == "3Gi", within=30)
    assert stateful_set(kube)["spec"]["replicas"] == 2
    assert pods(kube) == running


def test_a_class_that_forbids_growth_is_said_while_others_go_on(
    kube: Kube, eventually: Eventually
) -> None:
    kube("create", "secret", "generic", "store", "--from-literal=url=redis://store:6379/0")
    driver = Driver(kube, expandable=False)
    kube.apply(with_storage(driver))
    eventually(lambda: len(driver.claims()) == 4 and driver.provide(), within=30)
    before = stateful_set(kube)["metadata"]["uid"]
    kube.apply(with_storage(driver, size="3Gi"))
    refused = eventually(
        lambda: (c := condition(kube, "StorageReady"))["reason"] == "VolumeRefused" and c
    )
    assert "spec.subscribers.storage.size" in refused["message"]
    assert "allowVolumeExpansion: true" in refused["message"]
    assert "allowVolumeExpansion" in ready(kube)["message"]
    assert stateful_set(kube)["metadata"]["uid"] == before
    kube.apply(cluster("sound"))
    eventually(lambda: "deployment.apps/sound-auth" in kube.names("deployments"))
    driver.allow_expansion()
    eventually(lambda: driver.sizes("subscriber") == {"3Gi"}, within=30)
    eventually(lambda: size(stateful_set(kube)) == "3Gi", within=30)


def test_a_missing_class_is_said_and_healed(kube: Kube, eventually: Eventually) -> None:
    missing = {"storageClassName": f"class-{kube.namespace}"}
    kube.apply(cluster(subscribers={"replicas": 1, "storage": missing}))
    words = f"there is no StorageClass class-{kube.namespace}"
    refused = eventually(lambda: words in (c := condition(kube, "StorageReady"))["message"] and c)
    assert refused["reason"] == "VolumeRefused"
    assert "spec.subscribers.storage.storageClassName" in refused["message"]
    Driver(kube, expandable=True)
    eventually(
        lambda: "no StorageClass class-" not in condition(kube, "StorageReady")["message"],
        within=20,
    )


@pytest.mark.parametrize(("policy", "kept"), [("Delete", False), ("Retain", True)])
def test_volumes_after_their_object(
    kube: Kube, eventually: Eventually, driver: Driver, policy: str, kept: bool
) -> None:
    retention = {"whenDeleted": policy}
    body = with_storage(driver, retention=retention)
    body["spec"]["publishers"]["storage"]["retention"] = retention
    body["spec"]["gateway"]["outbox"]["storage"]["retention"] = retention
    kube.apply(body)
    eventually(lambda: len(driver.claims()) == 4 and driver.provide(), within=30)
    # The controller says whose they are a moment after it has made them.
    eventually(
        lambda: all(bool(c["metadata"].get("ownerReferences")) is not kept for c in driver.claims())
    )
    uids = {c["metadata"]["uid"] for c in driver.claims()}
    kube("delete", "lcc", "demo")
    eventually(lambda: not kube.names("statefulsets", "pods"), within=30)
    if not kept:
        eventually(lambda: not driver.claims(), within=30)
        return
    assert {c["metadata"]["uid"] for c in driver.claims()} == uids
    kube.apply(body)
    eventually(lambda: len(pods(kube)) >= 3, within=30)
    assert {c["metadata"]["uid"] for c in driver.claims()} == uids


def test_a_retired_volume_is_announced_to_the_next_node(
    kube: Kube, eventually: Eventually, driver: Driver
) -> None:
    """What a node that left leaves behind; here it is put there by hand."""
    kube.apply(with_storage(driver, retention={"whenScaled": "Retain"}))
    eventually(lambda: len(driver.claims()) == 4 and driver.provide(), within=30)
    mine = next(c for c in driver.claims() if c["metadata"]["name"] == "data-demo-subscriber-1")
    meta = {"name": "data-demo-subscriber-2", "labels": mine["metadata"]["labels"]}
    left = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta}
    spec = {k: mine["spec"][k] for k in ("accessModes", "storageClassName", "resources")}
    kube.apply({**left, "spec": spec})

    def marks() -> dict[str, str]:
        found = kube.get("pvc", "data-demo-subscriber-2")["metadata"]
        annotations: dict[str, str] = found.get("annotations") or {}
        return annotations

    eventually(lambda: marks().get("liveconnect.io/retired") == "true")
    life = marks()["liveconnect.io/life"]
    line = f"demo-subscriber-2 {life}\n"
    eventually(lambda: kube.get("configmap", "demo-subscriber")["data"]["lives"] == line)
    body = with_storage(driver, retention={"whenScaled": "Retain"})
    body["spec"]["subscribers"]["replicas"] = 3
    kube.apply(body)
    eventually(lambda: stateful_set(kube)["spec"]["replicas"] == 3)
