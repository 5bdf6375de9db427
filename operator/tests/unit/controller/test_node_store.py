"""Which Kubernetes nodes take no pods."""

from __future__ import annotations

from typing import Any

import pytest

from liveconnect.controller.handlers.node_store import NodeStore


def machine(name: str = "a", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": spec}


def test_a_cordon_comes_and_goes_and_nothing_else_is_news() -> None:
    nodes = NodeStore(readable=True)
    assert not nodes.put(machine(podCIDR="10.0.0.0/24"), gone=False)
    assert nodes.put(machine(unschedulable=True), gone=False)
    assert not nodes.put(machine(unschedulable=True, podCIDR="10.0.0.0/24"), gone=False)
    assert nodes.cordoned == frozenset("a")
    assert nodes.put(machine(), gone=False)
    assert nodes.cordoned == frozenset()


def test_a_node_that_is_gone_is_not_cordoned() -> None:
    nodes = NodeStore(readable=True)
    nodes.put(machine(unschedulable=True), gone=False)
    assert nodes.put(machine(unschedulable=True), gone=True)
    assert nodes.cordoned == frozenset()


@pytest.mark.parametrize(
    ("key", "emptied"),
    [
        ("ToBeDeletedByClusterAutoscaler", True),
        ("karpenter.sh/disrupted", True),
        ("example.com/gpu", False),
    ],
)
def test_autoscalers_taint_the_nodes_that_they_empty(key: str, *, emptied: bool) -> None:
    nodes = NodeStore(readable=True)
    nodes.put(machine(taints=[{"key": key, "effect": "NoSchedule"}]), gone=False)
    assert nodes.cordoned == frozenset("a" if emptied else "")


def test_an_operator_that_may_not_read_nodes_says_so() -> None:
    assert NodeStore(readable=False).cordoned is None
