"""An intended leave, step by step.

Each step is found from what is observed, so that any process may die at any of them.

Written down on the StatefulSet → listeners stop (readiness takes the node out of the endpoints) →
sessions and queues move, the node leaves → it is gone from every member list → one pod less → its
volume goes, because a node that left cannot come back with its old disk (operations.md).
"""

from __future__ import annotations

from liveconnect.controller.model.actions import Action, EvacuateNode, SuspendNode
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Observed


def has_left(pod: str, names: Names, observed: Observed) -> bool:
    """Whether no other node lists it any more (and at least one other was asked)."""
    node = names.node(pod)
    others = [v for p, v in observed.brokers.items() if p != pod and v.reachable]
    return bool(others) and all(node not in view.members for view in others)


def leave_step(pod: str, names: Names, observed: Observed) -> Action | None:
    """The next step of a leave that is written down; None when it is done or must wait."""
    if has_left(pod, names, observed):
        return None
    node = names.node(pod)
    view = observed.brokers.get(pod)
    others = sorted(p for p, v in observed.brokers.items() if p != pod and v.reachable)
    if not others or view is None or not view.reachable:
        return None
    if not view.suspended:
        return SuspendNode(pod=pod, node=node)
    return EvacuateNode(via=others[0], node=node)
