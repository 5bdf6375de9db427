"""Which tests may run at the same time: a lane is done by one worker, in order.

Tests of one file share fixtures, so a file is a lane; those that share more (a cluster object, a
control plane, fixed addresses) are named here, the longest lanes first: what is begun first ends
in time.
"""

from __future__ import annotations

#: Lane to the paths that it consists of, by their beginnings; in the order in which they begin.
_LANES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "the platform",
        tuple(
            f"e2e/scenarios/test_{name}.py"
            for name in (
                "story", "presence", "presence_kills", "membership", "mesh", "drain",
                "autoscaling", "operator", "logs",
            )
        ),
    ),
    (
        "bad networks and sleep",
        tuple(
            f"e2e/scenarios/test_{name}.py"
            for name in ("bad_networks", "hibernation", "network")
        ),
    ),
    ("objects of their own", ("e2e/scenarios/",)),
    ("wrong objects", ("operator/tests/integration/controller/test_bad_input.py",)),
    ("operator and API server", ("operator/tests/integration/controller/",)),
    ("chart and CRD", ("operator/tests/integration/crd/", "operator/tests/integration/chart/")),
    (
        # Their nodes have addresses that are written down.
        "brokers",
        (
            "operator/tests/contract/broker/",
            "operator/tests/integration/webhook/test_audit.py",
            "operator/tests/integration/webhook/test_brokers.py",
            "operator/tests/integration/webhook/test_revocations.py",
            "operator/tests/integration/gateway/test_requests_chain.py",
        ),
    ),
)  # fmt: skip
#: Files that take long, before those that do not.
_LONG = ("operator/tests/integration/", "operator/tests/contract/", "operator/tests/unit/planner/")


def lane(node_id: str) -> str:
    """The lane of a test."""
    path = node_id.partition("::")[0]
    named = (name for name, beginnings in _LANES if path.startswith(beginnings))
    return next(named, path)


def in_pods(lane: str) -> bool:
    """Whether its tests need the Kubernetes whose pods are processes."""
    beginnings = dict(_LANES).get(lane, (lane,))
    return beginnings[0].startswith("e2e/scenarios/")


def rank(node_id: str) -> int:
    """When its lane begins, the first lane being 0."""
    path = node_id.partition("::")[0]
    beginnings = [*(b for _, b in _LANES), *((b,) for b in _LONG)]
    return next((i for i, b in enumerate(beginnings) if path.startswith(b)), len(beginnings))
