"""To sleep and back against a real API server, its StatefulSets and its garbage collector.

The pods have no broker here: what clients see of it is in the scenarios.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.controller.conftest import Eventually, Kube, Operator
from tests.integration.controller.test_reconcile import ready
from tests.integration.controller.test_storage import condition, stateful_set, with_storage
from tests.integration.controller.volumes import Driver

pytestmark = pytest.mark.integration

_PODS = 2 + 1 + 1 + 2
"""Subscribers, publisher, gateway, auth service; the presence store is an external one."""


def pods(kube: Kube) -> set[str]:
    path = "{range .items[*]}{.metadata.name} {end}"
    return set(kube("get", "pods", "-o", f"jsonpath={path}").split())


def closed(kube: Kube) -> bool:
    return "liveconnect.io/closed" in kube.get("service", "demo-subscriber")["spec"]["selector"]


def sleep(kube: Kube, *, hibernate: bool) -> None:
    patch = json.dumps({"spec": {"hibernate": hibernate}})
    kube("patch", "lcc", "demo", "--type=merge", "-p", patch)


def told(kube: Kube) -> set[str]:
    return set(kube("get", "events", "-o", "jsonpath={.items[*].reason}").split())


@pytest.fixture
def driver(kube: Kube) -> Driver:
    kube("create", "secret", "generic", "store", "--from-literal=url=redis://store:6379/0")
    return Driver(kube, expandable=True)


@pytest.fixture
def running(kube: Kube, eventually: Eventually, driver: Driver) -> dict[str, str]:
    """An object with all its pods; the uids of its claims."""
    kube.apply(with_storage(driver))
    eventually(lambda: len(driver.claims()) == 4 and driver.provide(), within=40)
    eventually(lambda: len(pods(kube)) == _PODS, within=40)
    return uids(driver)


def uids(driver: Driver) -> dict[str, str]:
    return {c["metadata"]["name"]: c["metadata"]["uid"] for c in driver.claims()}


def is_asleep(kube: Kube) -> bool:
    return str(condition(kube, "Hibernated")["status"]) == "True"


def test_all_pods_go_and_come_back_to_their_volumes(
    kube: Kube,
    eventually: Eventually,
    driver: Driver,
    running: dict[str, str],
    operator_process: Operator,
) -> None:
    sleep(kube, hibernate=True)
    eventually(lambda: closed(kube), within=30)
    operator_process.kill()  # half-way: another one goes on
    operator_process.start()
    kube("wait", "--for=condition=Hibernated", "lcc/demo", "--timeout=90s")
    assert pods(kube) == set()
    assert uids(driver) == running
    said = ready(kube)
    assert (said["status"], said["reason"]) == ("False", "Hibernated")
    assert "kubectl patch liveconnect demo" in said["message"]
    writes = operator_process.metric("liveconnect_controller_writes_total")
    kube("annotate", "lcc", "demo", "example.com/touched=yes")
    eventually(lambda: operator_process.metric("liveconnect_controller_passes_total") > 0)
    assert operator_process.metric("liveconnect_controller_writes_total") == writes
    # Edits while it sleeps reach the pods, and only the pods, when it wakes.
    patch = {"spec": {"broker": {"image": "broker:next"}, "subscribers": {"replicas": 1}}}
    kube("patch", "lcc", "demo", "--type=merge", "-p", json.dumps(patch))
    image = ("get", "sts", "demo-subscriber", "-o")
    path = "jsonpath={.spec.template.spec.containers[0].image}"
    eventually(lambda: kube(*image, path) == "broker:next", within=30)
    assert stateful_set(kube)["spec"]["replicas"] == 0
    assert uids(driver) == running
    sleep(kube, hibernate=False)
    eventually(lambda: len(pods(kube)) == _PODS - 1, within=60)  # the gateway comes last
    assert "demo-subscriber-1" in pods(kube), "a node that is not wanted leaves when it is back"
    assert uids(driver) == running
    assert closed(kube), "no client comes in before the nodes are one cluster"
    assert condition(kube, "Hibernated")["reason"] == "Waking"
    eventually(lambda: {"Hibernating", "Hibernated", "Waking"} <= told(kube))


def test_claims_of_a_sleeping_object_stay_when_they_shall_be_retained(
    kube: Kube, eventually: Eventually, driver: Driver, running: dict[str, str]
) -> None:
    sleep(kube, hibernate=True)
    eventually(lambda: is_asleep(kube), within=60)
    retention = {"retention": {"whenDeleted": "Retain"}}
    patch: dict[str, Any] = {"spec": {"subscribers": {"storage": retention}}}
    kube("patch", "lcc", "demo", "--type=merge", "-p", json.dumps(patch))

    def owners() -> dict[str, int]:
        return {
            c["metadata"]["name"]: len(c["metadata"].get("ownerReferences") or ())
            for c in driver.claims()
        }

    kept = {name for name in running if "subscriber" in name}
    eventually(lambda: {n for n, count in owners().items() if not count} == kept, within=30)
    kube("delete", "lcc", "demo", "--timeout=30s")
    eventually(lambda: set(uids(driver)) == kept, within=60)
    assert uids(driver) == {name: running[name] for name in kept}
