"""The Kubernetes nodes that take no pods, as the watch last saw them."""

from __future__ import annotations

from liveconnect.controller.model.manifest import Manifest

#: Taints by which autoscalers say that they are about to empty a node, without cordoning it.
_EMPTIED = frozenset({"ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted"})


class NodeStore:
    """Implements `reconciler.KubernetesNodes`.

    Args:
        readable: Whether this operator may read nodes at all.
    """

    def __init__(self, *, readable: bool) -> None:
        self._cordoned: frozenset[str] | None = frozenset() if readable else None

    def put(self, body: Manifest, *, gone: bool) -> bool:
        """Take a watch event; whether the node takes pods now and did not before, or else."""
        name, before = body["metadata"]["name"], self._cordoned or frozenset()
        after = before | {name} if not gone and _is_cordoned(body) else before - {name}
        self._cordoned = after
        return after != before

    @property
    def cordoned(self) -> frozenset[str] | None:
        """Nodes that take no pods; None when this operator may not read nodes."""
        return self._cordoned


def _is_cordoned(node: Manifest) -> bool:
    spec = node.get("spec") or {}
    taints = {taint["key"] for taint in spec.get("taints") or []}
    return bool(spec.get("unschedulable")) or bool(taints & _EMPTIED)
