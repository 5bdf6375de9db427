"""The subscriber pool follows its connections."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.kit.cluster import Cluster, Manifest, condition
from e2e.kit.eventually import eventually
from e2e.kit.issuer import Issuer
from e2e.kit.loadbalancer import door
from e2e.kit.phone import Address, Phone
from e2e.kit.ready import wait_ready
from e2e.kit.samples import KIND

pytestmark = pytest.mark.e2e
_CROWD = 16


@pytest.fixture
def address(cluster: Cluster, small: Manifest) -> Iterator[Address]:
    meta = small["metadata"]
    with door(cluster, meta["namespace"], f"{meta['name']}-subscriber") as found:
        yield found


def test_pool_grows_and_shrinks_with_its_connections(
    cluster: Cluster, issuer: Issuer, small: Manifest, address: Address
) -> None:
    name, namespace = small["metadata"]["name"], small["metadata"]["namespace"]

    def body() -> Manifest:
        return cluster.existing(KIND, name, namespace)

    def nodes() -> dict[str, tuple[str, int]]:
        listed = body()["status"]["nodes"]
        return {n["name"]: (n["state"], n["members"]) for n in listed}

    two = {f"{name}-publisher-0", f"{name}-subscriber-0"}
    three = {*two, f"{name}-subscriber-1"}
    assert set(nodes()) == two
    assert condition(body(), "ScalingActive")["status"] == "True"

    crowd = [Phone(f"crowd-{i}", issuer.token(f"crowd-{i}", "4711")) for i in range(_CROWD)]
    try:
        for phone in crowd:
            assert phone.connect(address) == 0
        eventually(
            lambda: nodes() == dict.fromkeys(three, ("Running", 3)),
            within=120,
            every=1,
            what=f"{name}-subscriber-1 in one cluster with the others",
        )
        # Nobody lost a connection, and the new node takes clients.
        assert all(phone.connected() for phone in crowd)
        assert body()["status"]["autoscaling"]["recommended"] == 2
    finally:
        for phone in crowd:
            phone.disconnect()

    eventually(
        lambda: nodes() == dict.fromkeys(two, ("Running", 2)),
        within=120,
        every=1,
        what=f"{name}-subscriber-1 gone from every member list",
    )
    eventually(
        lambda: cluster.get("pvc", f"data-{name}-subscriber-1", namespace) is None,
        within=60,
        every=1,
        what="the volume of the node that left is gone",
    )
    ready = wait_ready(cluster, name, namespace, within=60)
    words = {kind: condition(ready, kind)["status"] for kind in ("AbleToScale", "ScalingActive")}
    assert words == {"AbleToScale": "True", "ScalingActive": "True"}
    # One node is the least; the empty pool would like none.
    limited = condition(ready, "ScalingLimited")
    assert limited["status"] in {"True", "False"}


def test_without_autoscaling_the_conditions_say_so(cluster: Cluster, quickstart: Manifest) -> None:
    body = cluster.existing(KIND, quickstart["metadata"]["name"])
    for kind in ("AbleToScale", "ScalingActive", "ScalingLimited"):
        seen = condition(body, kind)
        assert (seen["status"], seen["reason"]) == ("False", "NotAutoscaled")
