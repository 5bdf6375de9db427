"""The life of an object: restarted on demand, and deleted while no operator is there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.controller.conftest import Eventually, Kube, Operator
from tests.integration.controller.test_reconcile import CHILDREN, KINDS, cluster

pytestmark = pytest.mark.integration

_WORKLOADS = (
    "statefulset/demo-publisher",
    "statefulset/demo-subscriber",
    "statefulset/demo-gateway",
    "statefulset/demo-presence",
    "deployment/demo-auth",
)


@pytest.fixture
def away(operator_process: Operator) -> Iterator[Operator]:
    """The operator, that a test ends; another one is there after it."""
    yield operator_process
    operator_process.kill()
    operator_process.start()


def asked(kube: Kube, workload: str) -> str:
    path = r"{.spec.template.metadata.annotations.liveconnect\.io/restart}"
    return kube("get", workload, "-o", f"jsonpath={path}")


def test_a_restart_is_asked_for_by_an_annotation_and_reaches_every_template(
    kube: Kube, eventually: Eventually
) -> None:
    kube.apply(cluster())
    eventually(lambda: len(kube.names(*KINDS)) == CHILDREN, within=30)
    assert {asked(kube, w) for w in _WORKLOADS} == {""}
    kube("annotate", "lcc", "demo", "liveconnect.io/restart=today")
    eventually(lambda: {asked(kube, w) for w in _WORKLOADS} == {"today"}, within=30)
    events = ("get", "events", "-o", "jsonpath={.items[*].message}")
    why = "pool restarts node by node: metadata.annotations.liveconnect.io/restart"
    eventually(lambda: why in kube(*events))


def test_a_stateful_set_that_somebody_scales_is_restored_and_no_volume_goes(
    kube: Kube, eventually: Eventually
) -> None:
    def claims() -> dict[str, str]:
        path = "{range .items[*]}{.metadata.name}={.metadata.uid} {end}"
        listed = kube("get", "pvc", "-l", "app.kubernetes.io/component=subscriber",
                      "-o", f"jsonpath={path}")  # fmt: skip
        return dict(line.split("=") for line in listed.split())

    kube.apply(cluster(subscribers={"replicas": 3}))
    before = eventually(lambda: len(found := claims()) == 3 and found, within=30)
    kube("scale", "statefulset/demo-subscriber", "--replicas=1")
    told = ("get", "events", "-o", "jsonpath={.items[*].message}")
    eventually(lambda: "StatefulSet/demo-subscriber: it was edited, restored" in kube(*told))
    eventually(lambda: kube.get("statefulset", "demo-subscriber")["status"]["replicas"] == 3)
    assert claims() == before


def test_an_object_is_deleted_while_the_operator_is_away(
    kube: Kube, eventually: Eventually, away: Operator
) -> None:
    kube.apply(cluster())
    eventually(lambda: len(kube.names(*KINDS)) == CHILDREN, within=30)
    away.kill()
    kube("delete", "lcc", "demo", "--timeout=20s")
    eventually(lambda: not kube.names(*KINDS, "pods", "pvc"), within=60)


def test_a_namespace_goes_while_the_operator_is_away(
    kube: Kube, eventually: Eventually, away: Operator
) -> None:
    name = f"{kube.namespace}-two"
    kube.plane.kubectl("create", "namespace", name)
    other = Kube(kube.plane, name)
    other.apply(cluster())
    eventually(lambda: len(other.names(*KINDS)) == CHILDREN, within=30)
    away.kill()
    kube.plane.kubectl("delete", "namespace", name, "--timeout=90s")


def test_a_namespace_that_goes_does_not_come_back_to_life(
    kube: Kube, eventually: Eventually
) -> None:
    name = f"{kube.namespace}-two"
    kube.plane.kubectl("create", "namespace", name)
    other = Kube(kube.plane, name)
    other.apply(cluster())
    eventually(lambda: len(other.names(*KINDS)) == CHILDREN, within=30)
    kube.plane.kubectl("delete", "namespace", name, "--timeout=90s")
