"""The plan: from one observation to actions, status and events. Pure, total, deterministic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from liveconnect.api.v1alpha1 import Cluster, Status
from liveconnect.api.v1alpha1.cluster import RECONCILE_ANNOTATION
from liveconnect.controller.model.actions import (
    Action,
    Apply,
    Delete,
    EvacuateNode,
    ForgetNode,
    JoinNode,
    SuspendNode,
)
from liveconnect.controller.model.credentials import Credentials
from liveconnect.controller.model.manifest import Manifest, ObjectKey
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import LoadSample, Memory, Observed, Pool
from liveconnect.controller.planner.drift import why_apply
from liveconnect.controller.planner.leave import has_left, leave_step
from liveconnect.controller.planner.membership import Membership, plan_membership
from liveconnect.controller.planner.reasons import Reason
from liveconnect.controller.planner.sizes import Sizes, sizes
from liveconnect.controller.planner.status import summarise
from liveconnect.controller.rendering import RenderInputs, RenderSettings, render

#: How soon to look again: while something is under way, and when all is well.
BUSY = timedelta(seconds=2)
CALM = timedelta(seconds=10)
_SAMPLE_AGE = timedelta(seconds=60)


@dataclass(frozen=True)
class Event:
    """A Kubernetes event on the cluster object."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True)
class Plan:
    """What a pass shall do and say."""

    actions: tuple[Action, ...]
    status: Status
    events: tuple[Event, ...]
    resync: timedelta
    memory: Memory


def plan(
    cluster: Cluster,
    settings: RenderSettings,
    credentials: Credentials,
    secret_digests: Mapping[str, str],
    observed: Observed,
    now: datetime,
) -> Plan:
    """Decide everything about one cluster object."""
    names = Names(cluster.name, cluster.namespace, settings.cluster_domain)
    size = sizes(cluster, names, observed, now)
    left = size.leaving is not None and has_left(size.leaving, names, observed)
    wanted = _wanted(names, size)
    membership = plan_membership(
        names=names, observed=observed, wanted=wanted, leaving=size.leaving, now=now
    )
    replicas, leaving = _replicas(names, size, observed, membership, left=left)
    desired = render(
        cluster,
        settings,
        RenderInputs(
            credentials=credentials,
            replicas=replicas,
            leaving=leaving,
            secret_digests=secret_digests,
        ),
    )
    asked = cluster.reconcile not in {"", observed.memory.reconciled}
    forced = f"{RECONCILE_ANNOTATION} asks for it" if asked else ""
    applies = [
        Apply(manifest, why)
        for manifest in desired
        if (why := why_apply(manifest, observed) or forced)
    ]
    steps = _membership_steps(names, size, membership, observed, leaving, left=left)
    actions: tuple[Action, ...] = (
        *applies,
        *_prunes(desired, observed),
        *_stale_claims(names, replicas, observed),
        *steps,
    )
    if cluster.paused:
        actions = ()
    memory = replace(
        membership.memory,
        samples=_samples(observed, now),
        recommendations=size.scale.recommendations if size.scale else (),
    )
    events = () if cluster.paused else _events(size, replicas, actions)
    said = observed.memory.announced
    memory = replace(memory, announced=frozenset((e.reason, e.message) for e in events))
    status = summarise(cluster, names, observed, size, membership, memory, now)
    busy = bool(actions) or not membership.converged or leaving is not None or _unready(status)
    news = tuple(e for e in events if (e.reason, e.message) not in said)
    return Plan(actions, status, news, BUSY if busy else CALM, memory)


def _wanted(names: Names, size: Sizes) -> tuple[str, ...]:
    """Pods that shall be members: those of the StatefulSets, but for the one that leaves."""
    pods = [
        names.pod(pool, ordinal) for pool in Pool for ordinal in range(max(size.current[pool], 0))
    ]
    return tuple(p for p in pods if p != size.leaving)


def _replicas(
    names: Names, size: Sizes, observed: Observed, membership: Membership, *, left: bool
) -> tuple[dict[Pool, int], str | None]:
    """Replicas to render, and the pod to note as leaving: one change at a time over both pools."""
    replicas = {pool: size.current[pool] or size.target[pool] for pool in Pool}
    if size.leaving is not None:
        pool = Pool.SUBSCRIBER if "-subscriber-" in size.leaving else Pool.PUBLISHER
        if not left:
            return replicas, size.leaving
        replicas[pool] = size.current[pool] - 1
        return replicas, None
    for pool in Pool:
        current, target = size.current[pool], size.target[pool]
        if not current or current == target:
            continue
        if target > current:
            if not _claims_from(names, pool, current, observed):
                replicas[pool] = target
        elif membership.converged:
            # Down: only the last ordinal, only from a whole cluster, and only by leaving it.
            return replicas, names.pod(pool, current - 1)
    return replicas, None


def _claims_from(names: Names, pool: Pool, ordinal: int, observed: Observed) -> list[str]:
    """Claims of ordinals that the pool does not have: another life's state."""
    prefix = names.claim(f"{names.pool(pool)}-")
    return sorted(
        claim
        for claim in observed.claims
        if claim.startswith(prefix) and int(claim[len(prefix) :]) >= ordinal
    )


def _stale_claims(names: Names, replicas: Mapping[Pool, int], observed: Observed) -> list[Delete]:
    """Volumes of nodes that have left, once their pods are gone."""
    alive = {names.claim(p.name) for p in observed.pods}
    return [
        Delete(
            ObjectKey("v1", "PersistentVolumeClaim", names.namespace, claim),
            observed.claims[claim],
            "its node has left the cluster and could not come back with this disk",
        )
        for pool in Pool
        for claim in _claims_from(names, pool, replicas[pool], observed)
        if claim not in alive
    ]


def _prunes(desired: tuple[Manifest, ...], observed: Observed) -> list[Delete]:
    """Children that the object no longer asks for."""
    wanted = {ObjectKey.of(m) for m in desired}
    return [
        Delete(key, child["metadata"].get("uid", ""), "the object no longer asks for it")
        for key, child in sorted(observed.children.items())
        if key not in wanted and not child["metadata"].get("deletionTimestamp")
    ]


def _membership_steps(
    names: Names,
    size: Sizes,
    membership: Membership,
    observed: Observed,
    leaving: str | None,
    *,
    left: bool,
) -> tuple[Action, ...]:
    if membership.actions:
        return membership.actions
    # Only a leave that is already written down is acted on: the note comes first.
    if leaving is not None and leaving == size.leaving and not left:
        step = leave_step(leaving, names, observed)
        return (step,) if step else ()
    return ()


def _samples(observed: Observed, now: datetime) -> tuple[LoadSample, ...]:
    """Load of the last minute; one older sample is kept as the base of the rate."""
    kept = [s for s in observed.memory.samples if now - s.at <= _SAMPLE_AGE]
    older = [s for s in observed.memory.samples if now - s.at > _SAMPLE_AGE][-1:]
    connects = {p: v.connects for p, v in observed.brokers.items() if v.reachable}
    return (*older, *kept, LoadSample(now, connects))


def _unready(status: Status) -> bool:
    return any(c.type == "Ready" and c.status.value != "True" for c in status.conditions)


def _events(
    size: Sizes, replicas: Mapping[Pool, int], actions: tuple[Action, ...]
) -> tuple[Event, ...]:
    events: list[Event] = []
    for pool in Pool:
        old, new = size.current[pool], replicas[pool]
        if old and new != old:
            reason = Reason.SCALED_UP if new > old else Reason.SCALED_DOWN
            events.append(Event("Normal", reason, f"{pool.value} pool: {old} → {new} nodes"))
    for action in actions:
        match action:
            case Apply(manifest, why) if why in {"it was edited", "its metadata were edited"}:
                what = ObjectKey.of(manifest)
                events.append(Event("Warning", Reason.REPAIRED, f"{what}: {why}, restored"))
            case JoinNode(pod, discovery):
                events.append(Event("Normal", Reason.JOINING, f"{pod} joins by {discovery}"))
            case SuspendNode(pod, _):
                events.append(
                    Event("Normal", Reason.LEAVING, f"{pod} takes no new clients and will leave")
                )
            case EvacuateNode(_, node):
                events.append(
                    Event("Normal", Reason.LEAVING, f"{node}: sessions and queues move away")
                )
            case ForgetNode(_, node):
                events.append(
                    Event("Warning", Reason.FORGOTTEN, f"{node} is dead and not wanted any more")
                )
            case Delete(key, _, why) if key.kind == "PersistentVolumeClaim":
                events.append(Event("Normal", Reason.WIPED, f"{key}: {why}"))
            case _:
                pass
    return tuple(events)
