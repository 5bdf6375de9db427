"""Brokers on Kubernetes nodes that are cordoned: drained one by one before they are evicted.

`kubectl drain` cordons a node, then asks for the eviction of its pods, again every 5 s. A pool's
PodDisruptionBudget refuses that for a pod that serves; so there is time to move its clients away
(drain.py). Drained it is not ready, and may go: its node stays a member and keeps its disk, as in a
restart. When the Kubernetes node takes pods again before that, the listeners open again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from liveconnect.api.v1alpha1 import Disruption, duration
from liveconnect.controller.model.departure import Departure, Purpose
from liveconnect.controller.model.evictions import Evictions
from liveconnect.controller.model.observed import Observed, PodView, Pool
from liveconnect.controller.planner.drain import is_cordoned, is_drained
from liveconnect.controller.planner.membership import Membership
from liveconnect.controller.planner.reasons import Reason


@dataclass(frozen=True)
class Maintenance:
    """What there is to do for Kubernetes nodes that are cordoned."""

    pods: tuple[PodView, ...] = ()
    """Broker pods on such nodes."""
    next: PodView | None = None
    """The pod that may be drained now."""
    waiting: str = ""
    """Why none may, in words; empty when nothing waits."""


def plan_maintenance(
    observed: Observed, membership: Membership, *, restarting: bool = False
) -> Maintenance:
    """Find the next pod to drain for its Kubernetes node; publishers first, as in a roll.

    Args:
        observed: What the pass has seen.
        membership: How the nodes see each other.
        restarting: Whether all nodes restart at once anyway.
    """
    found = (p for pool in Pool for p in reversed(observed.pool(pool)))
    pods = tuple(p for p in found if is_cordoned(p, observed))
    serving = [p for p in pods if p.ready and not p.deleting]
    waits = {p.name: _waiting(p, observed, membership) for p in serving}
    free = next((p for p in serving if not waits[p.name] and not restarting), None)
    return Maintenance(pods, free, "" if free or not serving else waits[serving[0].name])


def _waiting(pod: PodView, observed: Observed, membership: Membership) -> str:
    """Why a pod may not be drained now; empty when it may."""
    pool = observed.pool(pod.pool)
    if len(pool) == 1:
        return f"{pod.name} is the only node of its pool: evicted, it cuts its clients at once"
    # On a node's own disks a pod of the other pool may have to wait for the very same node: if it
    # were waited for, the node could never be emptied.
    homeless = (p for p in observed.pods if not p.node and p.trouble)
    stranded = {p.name for p in homeless if p.pool is not pod.pool}
    busy = [p.name for p in observed.pods if p.name not in stranded and (p.deleting or not p.ready)]
    if busy:
        return f"waiting for {', '.join(busy)}"
    if membership.held:
        return membership.held
    apart = set(membership.missing) - stranded
    whole = bool(membership.core) and not membership.actions and not apart
    return "" if whole and not membership.torn else "the nodes are not one cluster"


def evictions(
    nodes: Mapping[Pool, int],
    departure: Departure | None,
    budget: Disruption,
    observed: Observed,
    now: datetime,
) -> dict[Pool, Evictions]:
    """Which pods of each pool may be evicted.

    Args:
        nodes: How many each pool has.
        departure: The node that is taken out of service, if any.
        budget: How fast its clients may be moved.
        observed: What the pass has seen.
        now: The time of the pass.
    """
    found = {pool: _evictions(count, observed) for pool, count in nodes.items()}
    if departure is None or found[departure.pool] is Evictions.ONE_AT_A_TIME:
        return found
    # Whatever holds a drain up, a broken pod of the pool may go in the end.
    overdue = now - departure.since >= duration(budget.drainTimeout)
    upkeep = departure.purpose is Purpose.MAINTENANCE
    if overdue or (upkeep and is_drained(departure, budget, observed, now)):
        return found
    return {**found, departure.pool: Evictions.NONE}


def _evictions(nodes: int, observed: Observed) -> Evictions:
    """Of a pool none of whose nodes is being drained."""
    paced = observed.cordoned is not None and nodes > 1
    return Evictions.UNREADY if paced else Evictions.ONE_AT_A_TIME


def verdict(
    plan: Maintenance,
    departure: Departure | None,
    budget: Disruption,
    observed: Observed,
    now: datetime,
    *,
    paused: bool,
) -> tuple[bool, Reason, str]:
    """The condition `EvictionsPaced`: whether it is true, why, and what is under way."""
    if observed.cordoned is None:
        why = "this operator may not read Kubernetes nodes: evicted, a broker cuts its clients"
        return False, Reason.NODES_NOT_READABLE, f"{why} at once"
    names = ", ".join(f"{p.name} on {p.node}" for p in plan.pods)
    if not plan.pods:
        return True, Reason.IDLE, "no broker runs on a cordoned Kubernetes node"
    if paused:
        return False, Reason.PAUSED, f"not drained while it is paused, nor evicted: {names}"
    own = departure if departure and departure.purpose is Purpose.MAINTENANCE else None
    if own is not None and is_drained(own, budget, observed, now):
        return True, Reason.DRAINED, f"{own.pod} is drained and may be evicted; cordoned: {names}"
    if departure is not None:
        return True, Reason.DRAINING, f"{departure.pod} is being drained; cordoned: {names}"
    waits = f"; {plan.waiting}" if plan.waiting else ""
    return True, Reason.DRAINING, f"cordoned: {names}{waits}"


def maintenance_news(
    departure: Departure | None, budget: Disruption, observed: Observed, now: datetime
) -> tuple[tuple[str, Reason, str], ...]:
    """Type, reason and message of events: a node may be evicted now."""
    if departure is None or departure.purpose is not Purpose.MAINTENANCE:
        return ()
    if not is_drained(departure, budget, observed, now):
        return ()
    text = f"{departure.pod} has no clients any more and may be evicted"
    return (("Normal", Reason.DRAINED, text),)
