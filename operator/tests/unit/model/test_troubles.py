"""When the operator asks why there are no pods: never of what is only new."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from liveconnect.controller.model.troubles import lacks_pods, pod_trouble, replica_failure

MADE = datetime(2026, 1, 1, tzinfo=UTC)


def workload(replicas: int, *, observed: int = 2) -> dict[str, Any]:
    return {
        "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z", "generation": 2},
        "spec": {"replicas": 2},
        "status": {"replicas": replicas, "observedGeneration": observed},
    }


@pytest.mark.parametrize(
    ("replicas", "observed", "age", "asks"),
    [(0, 2, 60, True), (1, 2, 60, True), (2, 2, 60, False), (0, 1, 60, False), (0, 2, 2, False)],
)
def test_who_lacks_pods(replicas: int, observed: int, age: int, asks: bool) -> None:
    now = MADE + timedelta(seconds=age)
    assert lacks_pods(workload(replicas, observed=observed), now) is asks


def test_troubles_are_in_kubernetes_words() -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    pod = {"status": {"initContainerStatuses": [{"state": {"waiting": waiting}}]}}
    assert pod_trouble(pod) == "ImagePullBackOff: no such image"
    patient = {"status": {"containerStatuses": [{"state": {"waiting": {
        "reason": "ContainerCreating"}}}]}}  # fmt: skip
    assert not pod_trouble(patient)
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    assert replica_failure({"status": {"conditions": [failure]}}) == "exceeded quota"
    assert not replica_failure({"status": {"conditions": [{**failure, "status": "False"}]}})


def test_a_container_that_ends_again_and_again_is_quoted() -> None:
    waiting = {
        "reason": "CrashLoopBackOff",
        "message": "back-off 2m40s restarting failed container",
    }
    ended = {"reason": "Error", "exitCode": 1, "message": "booting\nvernemq.conf: no such option\n"}
    container = {"state": {"waiting": waiting}, "lastState": {"terminated": ended}}
    pod = {"status": {"containerStatuses": [container]}}
    assert pod_trouble(pod) == "Error (exit code 1): booting vernemq.conf: no such option"
    ended["message"] = "x" * 1000 + " the end"
    assert pod_trouble(pod).endswith("x the end")
    assert len(pod_trouble(pod)) < 350
    ended["message"] = ""
    assert pod_trouble(pod) == "CrashLoopBackOff: back-off 2m40s restarting failed container"
