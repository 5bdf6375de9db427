"""How many subscriber nodes the load asks for: HPA's arithmetic on connections, drained down.

Up at once to what the connections need; down by one node at a time, and only to the highest number
that was recommended within the stabilisation window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from liveconnect.api.v1alpha1 import Autoscaling, AutoscalingMode

#: HPA's tolerance: within a tenth of the target nothing changes.
TOLERANCE = 0.1


@dataclass(frozen=True)
class Scale:
    """The autoscaler's answer."""

    replicas: int
    """Nodes to aim at now."""
    recommended: int
    """Nodes that the load asks for, within the bounds."""
    limited: str
    """`TooFewReplicas`, `TooManyReplicas` or empty: HPA's words for a bound that bites."""
    recommendations: tuple[tuple[datetime, int], ...]
    """The window, to be remembered."""


def autoscale(
    policy: Autoscaling,
    *,
    current: int,
    connections: int | None,
    window: tuple[tuple[datetime, int], ...],
    now: datetime,
) -> Scale:
    """Decide on the size of the subscriber pool.

    Args:
        policy: The object's `spec.subscribers.autoscaling`.
        current: Nodes that the pool has now (the StatefulSet's replicas).
        connections: Connections of the whole pool; None when a node could not be asked, which
            never scales down.
        window: Earlier recommendations.
        now: The time of the pass.
    """
    wanted = current if connections is None else _needed(policy, current, connections)
    bounded = min(max(wanted, policy.minReplicas), policy.maxReplicas)
    limited = ""
    if wanted > policy.maxReplicas:
        limited = "TooManyReplicas"
    elif wanted < policy.minReplicas:
        limited = "TooFewReplicas"
    horizon = now - timedelta(seconds=policy.scaleDown.stabilizationSeconds)
    kept = (*(r for r in window if r[0] > horizon), (now, bounded))
    stable = max(count for _, count in kept)
    seen_enough = bool(window) and window[0][0] <= horizon
    replicas = current
    if policy.mode is AutoscalingMode.AUTO:
        if bounded > current:
            replicas = bounded
        elif stable < current and (seen_enough or current > policy.maxReplicas):
            replicas = current - 1
    # One recommendation older than the horizon is kept: it proves that the window is full.
    older = tuple(r for r in window if r[0] <= horizon)[-1:]
    return Scale(replicas, bounded, limited, (*older, *kept))


def _needed(policy: Autoscaling, current: int, connections: int) -> int:
    """Nodes for so many connections, unmoved within the tolerance."""
    usage = connections / (current * policy.connectionsPerNode) if current else math.inf
    if abs(usage - 1) <= TOLERANCE:
        return current
    return max(1, math.ceil(connections / policy.connectionsPerNode))
