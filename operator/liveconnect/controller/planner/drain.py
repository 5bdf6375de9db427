"""Taking a node out of service, step by step (paced drain).

Each step is found from what is observed, so that any process may die at any of them.

Written down on the StatefulSet → listeners stop (readiness takes the node out of the endpoints) →
clients are disconnected in batches within the budget → and then, for a leave: queues move, the
node leaves, it is gone from every member list, one pod less, its volume goes, because a node that
left cannot come back with its old disk (operations.md); for a restart: the pod is made anew; for
the maintenance of its Kubernetes node: the pod waits until somebody evicts it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from liveconnect.api.v1alpha1 import Disruption, DrainStatus, duration
from liveconnect.controller.model.actions import (
    Action,
    Delete,
    DisconnectClients,
    EvacuateNode,
    StartListeners,
    StopListeners,
    SuspendNode,
)
from liveconnect.controller.model.departure import Departure, Purpose
from liveconnect.controller.model.manifest import ObjectKey
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import (
    BrokerView,
    Cut,
    Memory,
    Migration,
    Observed,
    PodView,
    Pool,
)

#: A migration whose queues have not become fewer for this long is asked for again.
MIGRATION_PATIENCE = timedelta(seconds=30)


@dataclass(frozen=True)
class DrainStep:
    """What to do now, and what to remember of it."""

    action: Action | None
    memory: Memory


def has_left(pod: str, names: Names, observed: Observed) -> bool:
    """Whether no other node lists it any more (and at least one other was asked)."""
    node = names.node(pod)
    others = [v for p, v in observed.brokers.items() if p != pod and v.reachable]
    return bool(others) and all(node not in view.members for view in others)


def is_done(departure: Departure, names: Names, observed: Observed) -> bool:
    """Whether the node has left, the pod has been made anew, or it serves again."""
    if departure.purpose is Purpose.LEAVE:
        return has_left(departure.pod, names, observed)
    pod = _pod(departure, observed)
    if pod is not None and pod.uid != departure.uid:
        return True
    return departure.purpose is Purpose.MAINTENANCE and pod is not None and _serves(pod, observed)


def is_cordoned(pod: PodView, observed: Observed) -> bool:
    """Whether the Kubernetes node that it runs on takes no pods."""
    return pod.node in (observed.cordoned or ())


def _serves(pod: PodView, observed: Observed) -> bool:
    """Whether its Kubernetes node takes pods (again), and it takes clients (again)."""
    view = observed.brokers.get(pod.name)
    back = view is not None and view.reachable and not view.suspended
    return back and not is_cordoned(pod, observed)


def is_drained(departure: Departure, budget: Disruption, observed: Observed, now: datetime) -> bool:
    """Whether a node takes no clients, and has none that may still be moved at leisure."""
    pod, view = _pod(departure, observed), observed.brokers.get(departure.pod)
    if pod is None or view is None or not view.reachable or not view.suspended:
        return False
    return is_cordoned(pod, observed) and not _has_clients(departure, view, budget, now)


def drain_step(
    departure: Departure,
    budget: Disruption,
    names: Names,
    observed: Observed,
    memory: Memory,
    now: datetime,
) -> DrainStep:
    """The next step of a departure that is written down; nothing when it is done or must wait."""
    pod = _pod(departure, observed)
    if pod is None or pod.deleting or is_done(departure, names, observed):
        return DrainStep(None, memory)
    view = observed.brokers.get(pod.name)
    if departure.purpose is Purpose.LEAVE:
        return _leave(departure, pod, view, budget, names, observed, memory, now)
    if departure.purpose is Purpose.MAINTENANCE:
        return _step_aside(departure, pod, view, budget, names, observed, memory, now)
    return _restart(departure, pod, view, budget, names, observed, memory, now)


def _leave(  # noqa: PLR0913 - the pass, taken apart
    departure: Departure,
    pod: PodView,
    view: BrokerView | None,
    budget: Disruption,
    names: Names,
    observed: Observed,
    memory: Memory,
    now: datetime,
) -> DrainStep:
    node = names.node(pod.name)
    others = sorted(p for p, v in observed.brokers.items() if p != pod.name and v.reachable)
    if not others or view is None or not view.reachable:
        return DrainStep(None, memory)  # when it stays away, membership forgets it
    close = SuspendNode(pod=pod.name, node=node)
    emptying = _empty(close, departure, view, budget, names, observed, memory, now)
    return emptying or _evacuate(node, view, others[0], memory, now)


def _evacuate(node: str, view: BrokerView, via: str, memory: Memory, now: datetime) -> DrainStep:
    """Ask for the migration once; again only when it has stood still.

    Asked while it runs, VerneMQ starts a second one beside it, and messages come twice (recorded).
    """
    before = memory.migration
    if before is not None and before.node == node:
        if view.queues < before.queues:
            return DrainStep(None, replace(memory, migration=Migration(node, view.queues, now)))
        if now - before.at < MIGRATION_PATIENCE:
            return DrainStep(None, memory)
    begun = replace(memory, migration=Migration(node, view.queues, now))
    return DrainStep(EvacuateNode(via=via, node=node), begun)


def _restart(  # noqa: PLR0913 - the pass, taken apart
    departure: Departure,
    pod: PodView,
    view: BrokerView | None,
    budget: Disruption,
    names: Names,
    observed: Observed,
    memory: Memory,
    now: datetime,
) -> DrainStep:
    key = ObjectKey("v1", "Pod", names.namespace, pod.name)
    anew = Delete(key, pod.uid, "it is drained and shall run the pool's current template")
    if view is None or not view.reachable or not _has_refuge(pod, observed):
        return DrainStep(anew, memory)  # nobody to move, or nowhere to move them to
    close = StopListeners(pod=pod.name)
    emptying = _empty(close, departure, view, budget, names, observed, memory, now)
    return emptying or DrainStep(anew, memory)


def _step_aside(  # noqa: PLR0913 - the pass, taken apart
    departure: Departure,
    pod: PodView,
    view: BrokerView | None,
    budget: Disruption,
    names: Names,
    observed: Observed,
    memory: Memory,
    now: datetime,
) -> DrainStep:
    if view is None or not view.reachable:
        return DrainStep(None, memory)  # it has no clients, and opens its listeners when it starts
    if not is_cordoned(pod, observed):
        return DrainStep(StartListeners(pod.name) if view.suspended else None, memory)
    if not _has_refuge(pod, observed):
        return DrainStep(None, memory)  # its clients would have nowhere to go
    close = StopListeners(pod.name, cordoned=pod.node)
    emptying = _empty(close, departure, view, budget, names, observed, memory, now)
    return emptying or DrainStep(None, memory)


def _has_refuge(pod: PodView, observed: Observed) -> bool:
    """Whether another node of the pool takes its clients."""
    return any(p.ready and p.name != pod.name for p in observed.pool(pod.pool))


def _empty(  # noqa: PLR0913 - the pass, taken apart
    close: SuspendNode | StopListeners,
    departure: Departure,
    view: BrokerView,
    budget: Disruption,
    names: Names,
    observed: Observed,
    memory: Memory,
    now: datetime,
) -> DrainStep | None:
    """Let no clients in, then disconnect those that are there; None when that is done."""
    if not view.suspended:
        return DrainStep(close, memory)
    if _has_clients(departure, view, budget, now):
        return _batch(departure, view, budget, names.node(departure.pod), observed, memory, now)
    return None


def _has_clients(departure: Departure, view: BrokerView, budget: Disruption, now: datetime) -> bool:
    """Whether clients are left that may still be moved at leisure."""
    in_time = now - departure.since < duration(budget.drainTimeout)
    return view.connections > 0 and in_time


def _batch(  # noqa: PLR0913 - the pass, taken apart
    departure: Departure,
    view: BrokerView,
    budget: Disruption,
    node: str,
    observed: Observed,
    memory: Memory,
    now: datetime,
) -> DrainStep:
    """Disconnect as many as the budget allows now."""
    if departure.pool is Pool.PUBLISHER:
        allowed = view.connections  # backends' own sessions: a handful, and no device notices
    else:
        allowed = min(allowance(budget, observed, memory.cuts, now), view.connections)
    if allowed <= 0:
        return DrainStep(None, memory)
    window = max(duration(budget.per), timedelta(minutes=1))
    cuts = (*(c for c in memory.cuts if now - c.at < window), Cut(now, allowed))
    step = DisconnectClients(pod=departure.pod, node=node, count=allowed)
    return DrainStep(step, replace(memory, cuts=cuts))


def allowance(budget: Disruption, observed: Observed, cuts: tuple[Cut, ...], now: datetime) -> int:
    """Clients that may be disconnected at this moment."""
    total = sum(
        observed.brokers[p.name].connections
        for p in observed.pool(Pool.SUBSCRIBER)
        if p.name in observed.brokers
    )
    limit = budget.maxClients
    most = limit if isinstance(limit, int) else math.ceil(total * int(limit[:-1]) / 100)
    spent = sum(c.clients for c in cuts if now - c.at < duration(budget.per))
    return max(most, 1) - spent


def progress(
    departure: Departure, budget: Disruption, observed: Observed, memory: Memory, now: datetime
) -> DrainStatus:
    """How far a drain is, for `status.drain`."""
    view = observed.brokers.get(departure.pod)
    left = view.connections if view else 0
    recent = [c for c in memory.cuts if now - c.at < timedelta(minutes=1)]
    seconds = max((now - recent[0].at).total_seconds(), 1.0) if recent else 0.0
    per_second = sum(c.clients for c in recent) / seconds if recent else 0.0
    latest = departure.since + duration(budget.drainTimeout)
    eta = min(now + timedelta(seconds=left / per_second), latest) if per_second else latest
    return DrainStatus(
        node=departure.pod,
        purpose=departure.purpose.value,
        since=departure.since,
        sessionsLeft=left,
        queuesLeft=view.queues if view else 0,
        rate=f"{round(per_second * 60)}/min",
        eta=eta.replace(microsecond=0),
    )


def _pod(departure: Departure, observed: Observed) -> PodView | None:
    return next((p for p in observed.pods if p.name == departure.pod), None)
