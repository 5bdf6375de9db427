"""Pods are killed under a fleet of phones; presence ends with the truth, and never strays for long.

`PRESENCE_CLIENTS=2000 PRESENCE_SECONDS=300` is the long form.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest

from e2e.kit.cluster import Cluster, Manifest
from e2e.kit.eventually import eventually
from e2e.kit.fleet import Fleet, turns
from e2e.kit.issuer import Issuer
from e2e.kit.judge import Judge, Recorded
from e2e.kit.loadbalancer import door
from e2e.kit.microservice import Microservice
from e2e.kit.ready import wait_ready

CLIENTS = int(os.environ.get("PRESENCE_CLIENTS", "150"))
SECONDS = float(os.environ.get("PRESENCE_SECONDS", "60"))
BOUND_SECONDS = 10.0
"""What is promised; five more while the replica that audits is killed, too."""
_EVERY_SECONDS = 15.0
_AT_ONCE = ["--grace-period=0", "--force"]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(SECONDS + 400, func_only=True)]


def _read(orders: Microservice, prefix: str) -> Mapping[str, Recorded]:
    return {
        item["clientId"]: Recorded(item["state"], item["node"]) for item in orders.everybody(prefix)
    }


def _victim(cluster: Cluster, name: str, turn: int) -> str:
    """A subscriber, an auth pod, or the store, by turns."""
    component = ("subscriber", "auth", "presence")[turn % 3]
    pods = cluster.items(
        "pods",
        selector=f"liveconnect.io/cluster={name},app.kubernetes.io/component={component}",
    )
    alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    pod: str = alive[turn % len(alive)]["metadata"]["name"]
    return pod


def test_presence_is_true_whatever_pod_is_killed(
    cluster: Cluster, issuer: Issuer, quickstart: Manifest, orders: Microservice
) -> None:
    name = quickstart["metadata"]["name"]
    with (
        door(cluster, "default", f"{name}-subscriber") as address,
        Fleet("fleet", CLIENTS, issuer, [address]) as fleet,
    ):
        eventually(lambda: fleet.online() == CLIENTS, within=180, what="everybody is connected")
        with Judge(fleet, lambda: _read(orders, "fleet-")) as judge:
            killed = []
            for turn in turns(SECONDS, _EVERY_SECONDS):
                fleet.shake(0.02)
                pod = _victim(cluster, name, turn)
                cluster.delete("pod", pod, extra=_AT_ONCE)
                killed.append(pod)
                wait_ready(cluster, name, within=120)
                judge.healed()
            fleet.everybody(wanted=True)
            eventually(lambda: fleet.online() == CLIENTS, within=120, what="everybody is back")
            eventually(
                lambda: not judge.wrong_now(), within=BOUND_SECONDS + 5, what="all records are true"
            )
        unknown = [c for c, r in _read(orders, "fleet-").items() if r.state == "unknown"]
        print(f"killed: {killed}; worst: {judge.worst}; {judge.looks} looks, {judge.blind} blind")
        assert judge.looks > 10
        assert not unknown
        assert judge.worst is None or judge.worst.seconds <= BOUND_SECONDS, str(judge.worst)
