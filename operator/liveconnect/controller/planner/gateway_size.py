"""How many pods the gateway has: after a sleep those of before it, until their outboxes are empty.

A pod of the gateway may fall asleep with messages that it has promised (ADR 0013): they are on its
volume, and only that pod publishes them. A number that became smaller meanwhile would leave the
last pods' volumes behind. So the number of before is written down on the StatefulSet as long as it
matters.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from liveconnect.controller.model.hibernation import GatewayPods, Hibernation, pods_of_gateway
from liveconnect.controller.model.manifest import Manifest, ObjectKey, is_seen
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Observed

#: All pods of before are ready this long before the last ones end: time for what they have stored.
EMPTYING = timedelta(minutes=1)


def gateway_pods(
    wanted: int, names: Names, observed: Observed, at: Hibernation, now: datetime
) -> GatewayPods:
    """Decide the number, and whether it is written down.

    Args:
        wanted: `spec.gateway.replicas`.
        names: of the cluster's children.
        observed: what the pass has seen.
        at: how far the cluster is on its way to sleep or back, as it is rendered.
        now: the time of the pass.
    """
    key = ObjectKey("apps/v1", "StatefulSet", names.namespace, names.gateway)
    child = observed.children.get(key, {})
    before = pods_of_gateway(child.get("metadata", {}).get("annotations") or {})
    if at.closed:
        before = before or int(child.get("spec", {}).get("replicas", 0))
        return GatewayPods(max(wanted, before), before, message=_waits(names, before, wanted))
    if before <= wanted:
        return GatewayPods(wanted)
    since = (observed.memory.emptying or now) if _all_ready(child, before) else None
    if since is not None and now - since >= EMPTYING:
        return GatewayPods(wanted)
    return GatewayPods(before, before, since, _waits(names, before, wanted))


def _all_ready(child: Manifest, pods: int) -> bool:
    return is_seen(child) and int((child.get("status") or {}).get("readyReplicas", 0)) >= pods


def _waits(names: Names, before: int, wanted: int) -> str:
    if before <= wanted:
        return ""
    return (
        f"{names.gateway} has {before} pods as before its sleep, until all are ready and have "
        f"published what they had stored; then spec.gateway.replicas: {wanted}"
    )
