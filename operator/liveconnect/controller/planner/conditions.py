"""One function per condition: what it says and why (KEP-1623)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from liveconnect.api.v1alpha1 import (
    AutoscalingMode,
    Cluster,
    Condition,
    ConditionStatus,
    DrainStatus,
    PoolStatus,
)
from liveconnect.api.v1alpha1.cluster import PAUSED_ANNOTATION
from liveconnect.controller.model.departure import Purpose
from liveconnect.controller.model.hibernation import Phase
from liveconnect.controller.model.manifest import ObjectKey, is_seen
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Observed, Pool
from liveconnect.controller.model.troubles import component
from liveconnect.controller.planner.certificate_report import certificate_verdict
from liveconnect.controller.planner.certificates import Certificates
from liveconnect.controller.planner.hibernation import Sleep, verdict, wake_up
from liveconnect.controller.planner.inforce import what_is_behind
from liveconnect.controller.planner.membership import Membership
from liveconnect.controller.planner.mesh import Mesh
from liveconnect.controller.planner.reasons import Reason
from liveconnect.controller.planner.rollout import Rollout
from liveconnect.controller.planner.rotation import Rotation
from liveconnect.controller.planner.sizes import Sizes
from liveconnect.controller.planner.storage import storage_ready
from liveconnect.controller.planner.transition import transition

Verdict = tuple[ConditionStatus, str, str]
TRUE, FALSE = ConditionStatus.TRUE, ConditionStatus.FALSE
_DRAINS = {
    Purpose.LEAVE: (Reason.LEAVING, "leaves the cluster"),
    Purpose.RESTART: (Reason.RESTARTING, "restarts"),
    Purpose.MAINTENANCE: (Reason.DRAINING, "stands aside, its Kubernetes node is cordoned"),
}
_NOT_RUNNING: Verdict = (FALSE, Reason.HIBERNATED, "does not run: spec.hibernate")


def conditions(  # noqa: PLR0913 - everything that a pass knows
    cluster: Cluster,
    names: Names,
    observed: Observed,
    size: Sizes,
    membership: Membership,
    mesh: Mesh,
    rollout: Rollout,
    drain: DrainStatus | None,
    certificates: Certificates,
    rotation: Rotation,
    sleep: Sleep,
    evictions: tuple[bool, Reason, str],
    not_in_force: tuple[str, ...],
    pools: Mapping[Pool, PoolStatus],
    now: datetime,
) -> list[Condition]:
    """All conditions, `Ready` first."""
    parts: dict[str, Verdict] = {
        "PublishersReady": _pool_ready(observed, pools[Pool.PUBLISHER], Pool.PUBLISHER),
        "SubscribersReady": _pool_ready(observed, pools[Pool.SUBSCRIBER], Pool.SUBSCRIBER),
        "MeshVerified": (mesh.status, mesh.reason, mesh.message),
        "StorageReady": storage_ready(cluster, names, observed),
        "PresenceReady": _presence(cluster, names, observed),
        "CertificatesReady": certificate_verdict(certificates, now),
        "AuthReady": _workload(observed, "Deployment", names, names.auth),
        "GatewayReady": _workload(observed, "StatefulSet", names, names.gateway),
    }
    asleep = _hibernated(sleep, cluster)
    behind = what_is_behind(cluster, names, observed, size, rollout, not_in_force)
    behind = behind or (sleep.gateway.message if sleep.gateway else "")
    parts |= dict.fromkeys(_resting(sleep), _NOT_RUNNING)
    verdicts: dict[str, Verdict] = {
        "Ready": _asleep_first(sleep, asleep, cluster, observed) or _ready(observed, parts, behind),
        **parts,
        "Progressing": (TRUE, asleep[1], asleep[2])
        if sleep.under_way
        else _progressing(size, membership, behind, drain, sleep),
        "Degraded": _degraded(observed, membership, mesh),
        "CredentialsRotating": _rotating(rotation),
        "Paused": _paused(cluster),
        "Hibernated": asleep,
        "EvictionsPaced": (TRUE if evictions[0] else FALSE, *evictions[1:]),
        **_scaling(cluster, observed, size, sleep),
    }
    old = {c["type"]: c for c in observed.status.get("conditions", [])}
    return [
        transition(old, kind, status, (reason, message), cluster.generation, now)
        for kind, (status, reason, message) in verdicts.items()
    ]


def _hibernated(sleep: Sleep, cluster: Cluster) -> Verdict:
    holds, reason, message = verdict(sleep, cluster)
    return TRUE if holds else FALSE, reason, message


def _resting(sleep: Sleep) -> tuple[str, ...]:
    """Conditions of parts that do not run now, and shall not."""
    if sleep.now.phase is Phase.ASLEEP:
        nodes = ("PublishersReady", "SubscribersReady", "MeshVerified", "GatewayReady")
        return nodes if sleep.now.services else (*nodes, "AuthReady", "PresenceReady")
    return ("GatewayReady",) if sleep.now.closed else ()


def _asleep_first(
    sleep: Sleep, asleep: Verdict, cluster: Cluster, observed: Observed
) -> Verdict | None:
    """Why it does not serve, beside anything else that is wrong; None when it is awake."""
    if not sleep.now.closed:
        return None
    wrong = "".join(f"; {problem}" for problem in observed.missing_references)
    how = f"; {wake_up(cluster)}" if sleep.asked else ""
    return FALSE, asleep[1], f"{asleep[2]}{how}{wrong}"


def _ready(observed: Observed, parts: Mapping[str, Verdict], behind: str) -> Verdict:
    if observed.missing_references:
        return FALSE, Reason.MISSING_REFERENCE, "; ".join(observed.missing_references)
    broken = [(kind, v) for kind, v in parts.items() if v[0] is not TRUE]
    if not broken and behind:
        return FALSE, Reason.ROLLING_OUT, behind
    if not broken:
        return TRUE, Reason.READY, "all parts are ready and the nodes form one cluster"
    worst = next((v for _, v in broken if v[1] == Reason.POD_TROUBLE), broken[0][1])
    return FALSE, worst[1], "; ".join(v[2] for _, v in broken)


def _pool_ready(observed: Observed, status: PoolStatus, pool: Pool) -> Verdict:
    pods = observed.pool(pool)
    none = observed.troubles.get(pool.value, ())
    if not pods and not none:
        return FALSE, Reason.CREATING, f"{pool.value} pool: no pods yet"
    trouble = [*none, *(f"{p.name}: {p.trouble}" for p in pods if p.trouble)]
    counts = f"{pool.value} pool: {status.ready}/{status.desired} nodes ready"
    if trouble:
        return FALSE, Reason.POD_TROUBLE, f"{counts} ({'; '.join(trouble)})"
    # A pool that shrinks still serves: more nodes than wanted are no defect.
    if status.ready >= status.desired:
        return TRUE, Reason.READY, counts
    waiting = ", ".join(p.name for p in pods if not p.ready)
    return FALSE, Reason.NOT_READY, f"{counts}" + (f", waiting for {waiting}" if waiting else "")


def _workload(observed: Observed, kind: str, names: Names, name: str) -> Verdict:
    child = observed.children.get(ObjectKey("apps/v1", kind, names.namespace, name))
    if child is None:
        return FALSE, Reason.CREATING, f"{name}: not created yet"
    status = child.get("status", {})
    wanted = int(child.get("spec", {}).get("replicas", 1))
    ready = int(status.get("readyReplicas", 0))
    text = f"{name}: {ready}/{wanted} pods ready"
    if is_seen(child) and ready >= wanted:
        return TRUE, Reason.READY, text
    trouble = observed.troubles.get(component(child), ())
    if trouble:
        return FALSE, Reason.POD_TROUBLE, f"{text} ({'; '.join(trouble)})"
    return FALSE, Reason.NOT_READY, text


def _presence(cluster: Cluster, names: Names, observed: Observed) -> Verdict:
    if cluster.spec.presence.store.external is not None:
        return TRUE, Reason.READY, "an external store; the auth service's readiness speaks of it"
    return _workload(observed, "StatefulSet", names, names.presence)


def _progressing(
    size: Sizes,
    membership: Membership,
    behind: str,
    drain: DrainStatus | None,
    sleep: Sleep,
) -> Verdict:
    if sleep.complete:
        return FALSE, Reason.HIBERNATED, "nothing is under way: it sleeps"
    if drain is not None:
        left = f"{drain.sessionsLeft} clients and {drain.queuesLeft} queues left"
        reason, verb = _DRAINS[Purpose(drain.purpose)]
        return TRUE, reason, f"{drain.node} {verb}: {left}"
    moving = [
        f"{pool.value} pool {size.current[pool]} → {size.target[pool]}"
        for pool in Pool
        if size.current[pool] != size.target[pool]
    ]
    if moving:
        return TRUE, Reason.ROLLING_OUT, ", ".join(moving)
    if behind:
        return TRUE, Reason.ROLLING_OUT, behind
    if membership.missing:
        return TRUE, Reason.NODES_MISSING, f"joining: {', '.join(membership.missing)}"
    return FALSE, Reason.IDLE, "nothing is under way"


def _rotating(rotation: Rotation) -> Verdict:
    return TRUE if rotation.under_way else FALSE, rotation.reason, rotation.message


def _paused(cluster: Cluster) -> Verdict:
    if cluster.paused:
        return TRUE, Reason.PAUSED, f"the annotation {PAUSED_ANNOTATION} is set: nothing is written"
    return FALSE, Reason.HEALTHY, "the operator acts on this object"


def _degraded(observed: Observed, membership: Membership, mesh: Mesh) -> Verdict:
    trouble = [f"{p.name}: {p.trouble}" for p in observed.pods if p.trouble]
    silent = [
        f"{p.name} is ready but its management API does not answer"
        f" ({observed.brokers[p.name].problem})"
        for p in observed.pods
        if p.ready and p.name in observed.brokers and not observed.brokers[p.name].reachable
    ]
    split = [
        f"{p.name} is ready but not in one cluster with the others"
        for p in observed.pods
        if p.ready and membership.states.get(p.name) == "Joining"
    ]
    problems = [*trouble, *silent, *split]
    if mesh.split:
        return TRUE, Reason.SPLIT, "; ".join([mesh.split, *problems])
    if problems:
        return TRUE, Reason.POD_TROUBLE, "; ".join(problems)
    return FALSE, Reason.HEALTHY, "no trouble seen"


def _scaling(cluster: Cluster, observed: Observed, size: Sizes, sleep: Sleep) -> dict[str, Verdict]:
    """HPA's own three words."""
    policy = cluster.spec.subscribers.autoscaling
    if policy is None:
        off: Verdict = (FALSE, Reason.NOT_AUTOSCALED, "spec.subscribers.autoscaling is not set")
        return {"AbleToScale": off, "ScalingActive": off, "ScalingLimited": off}
    if sleep.holds:
        still: Verdict = (FALSE, Reason.HIBERNATING, "the pool's size stands still: spec.hibernate")
        return {"AbleToScale": still, "ScalingActive": still, "ScalingLimited": still}
    able: Verdict = (TRUE, Reason.READY_FOR_SCALE, "the pool can be scaled")
    if size.leaving:
        able = (FALSE, Reason.LEAVING, f"{size.leaving} must finish leaving first")
    if policy.mode is AutoscalingMode.RECOMMEND:
        able = (FALSE, Reason.RECOMMEND_ONLY, "mode is Recommend: nobody acts on it")
    told = all(
        p.name in observed.brokers and observed.brokers[p.name].reachable
        for p in observed.pool(Pool.SUBSCRIBER)
    )
    active: Verdict = (
        (TRUE, Reason.VALID_METRICS, "every subscriber node tells its connections")
        if told
        else (FALSE, Reason.NO_METRICS, "a subscriber node does not tell its connections")
    )
    limit = size.scale.limited if size.scale else ""
    limited: Verdict = (
        (TRUE, limit, f"the load asks for a size outside {policy.minReplicas}–{policy.maxReplicas}")
        if limit
        else (FALSE, Reason.DESIRED_WITHIN_RANGE, "the size is within its bounds")
    )
    return {"AbleToScale": able, "ScalingActive": active, "ScalingLimited": limited}
