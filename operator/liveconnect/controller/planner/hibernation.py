"""To sleep and back: `spec.hibernate`.

Each step is found from what is observed and from the phase that is written down on the pools'
StatefulSets, so that any process may die at any of them.

To sleep: what is half done is finished (a node that leaves or joins) → the Services are closed and
the gateway ends: nobody new comes in, and what the gateway has accepted is acknowledged or on its
volume → every node's listeners stop and cut its clients, with their hooks, while all nodes are
there: what was acknowledged is in the queue of its session, wherever that is → both pools have no
pods (never a leave: the nodes stay members on their disks) → auth service and presence store.

Back: store and auth service → all nodes at once, with their disks, behind closed Services: a
client whose session is on a node that is not there yet would get a second one → all are one
cluster → the Services are opened, and the gateway starts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.api.v1alpha1.cluster import PAUSED_ANNOTATION
from liveconnect.controller.model.actions import Action, DisconnectClients, StopListeners
from liveconnect.controller.model.departure import Purpose
from liveconnect.controller.model.hibernation import (
    GatewayPods,
    Hibernation,
    Phase,
    furthest,
    written,
)
from liveconnect.controller.model.manifest import ObjectKey, is_seen
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import BrokerView, Memory, Observed, Pool
from liveconnect.controller.planner.gateway_size import gateway_pods
from liveconnect.controller.planner.membership import Membership
from liveconnect.controller.planner.reasons import Reason
from liveconnect.controller.planner.sizes import Sizes

#: Clients that are cut are gone at once; a node that still counts some after this ends with them.
CUT_PATIENCE = timedelta(seconds=30)
#: A join takes so long at most (recorded: 5-15 s); one that is refused is asked for again later.
JOIN_SETTLES = timedelta(seconds=15)
#: A node that has not come back after this does not keep the others' clients out any longer.
WAKE_PATIENCE = timedelta(minutes=5)


@dataclass(frozen=True)
class Sleep:
    """What to do on the way to sleep and back, and what to say of it."""

    before: Phase
    """As it is written down."""
    now: Hibernation
    """As it shall be rendered."""
    asked: bool = False
    """Whether the object shall sleep."""
    actions: tuple[Action, ...] = ()
    complete: bool = False
    """Whether no pod of any operand is left."""
    message: str = ""
    """What is waited for."""
    since: datetime | None = None
    """Since when this phase's patience counts, to be remembered."""
    gateway: GatewayPods | None = None
    """The gateway's size now."""

    @property
    def holds(self) -> bool:
        """Whether no node may be added, taken out or made anew now."""
        return self.asked or self.now.closed or self.before is not Phase.AWAKE

    @property
    def under_way(self) -> bool:
        """Whether the cluster is neither awake nor asleep."""
        return self.now.closed and not self.complete


def phase(names: Names, observed: Observed) -> Phase:
    """The phase that is written down."""
    found = [observed.children.get(_key("StatefulSet", names, names.pool(p))) for p in Pool]
    notes = [(f["metadata"].get("annotations") or {}) for f in found if f is not None]
    return furthest([written(n) for n in notes])


def plan_sleep(  # noqa: PLR0913 - everything that a pass knows
    cluster: Cluster,
    names: Names,
    size: Sizes,
    observed: Observed,
    membership: Membership,
    now: datetime,
    *,
    restarting: bool = False,
) -> Sleep:
    """Find the next step.

    Args:
        cluster: The object.
        names: Names of its children.
        size: What the pools have.
        observed: What the pass has seen.
        membership: How the nodes see each other.
        now: The time of the pass.
        restarting: Whether all nodes restart for a rotation of the cookie.
    """
    before, asked = phase(names, observed), cluster.spec.hibernate
    match before:
        case Phase.AWAKE if asked:
            sleep = _begin(names, size, observed, membership, now, restarting=restarting)
        case Phase.CLOSING:
            sleep = _close(names, observed, now, asked=asked)
        case Phase.ASLEEP if asked:
            sleep = _settle(cluster, names, observed)
        case Phase.ASLEEP:
            sleep = _wake(cluster, names, observed)
        case Phase.WAKING if asked:
            sleep = Sleep(before, Hibernation(Phase.CLOSING))
        case Phase.WAKING:
            sleep = _open(size, observed, membership, now)
        case _:
            sleep = Sleep(before, Hibernation())
    if cluster.paused and sleep.now.phase is not before:
        sleep = Sleep(before, Hibernation(before))
    wanted = cluster.spec.gateway.replicas
    gateway = gateway_pods(wanted, names, observed, sleep.now, now)
    return replace(sleep, asked=asked, gateway=gateway)


def remembered(sleep: Sleep, memory: Memory) -> Memory:
    """The memory with the time since which this phase's patience counts."""
    since = None if sleep.since is None else (sleep.now.phase.value, sleep.since)
    emptying = sleep.gateway.since if sleep.gateway else None
    return replace(memory, sleeping=since, emptying=emptying)


def _key(kind: str, names: Names, name: str) -> ObjectKey:
    return ObjectKey("apps/v1", kind, names.namespace, name)


def _since(at: Phase, observed: Observed, now: datetime) -> datetime:
    before = observed.memory.sleeping
    return before[1] if before is not None and before[0] == at.value else now


def _begin(
    names: Names,
    size: Sizes,
    observed: Observed,
    membership: Membership,
    now: datetime,
    *,
    restarting: bool,
) -> Sleep:
    """Close, unless something is half done that a node could not go on with after its sleep."""
    sets = (_key("StatefulSet", names, names.pool(pool)) for pool in Pool)
    if not observed.pods and not any(key in observed.children for key in sets):
        return Sleep(Phase.AWAKE, Hibernation(Phase.ASLEEP, services=False))
    departure, waits = size.departure, ""
    joining = [p for p, at in membership.memory.joins.items() if now - at < JOIN_SETTLES]
    if departure is not None and departure.purpose is Purpose.LEAVE:
        waits = f"{departure.pod} leaves the cluster first"
    elif joining:
        waits = f"{', '.join(sorted(joining))} must have joined first"
    elif restarting:
        waits = "the cookie is rotated first"
    if waits:
        return Sleep(Phase.AWAKE, Hibernation(), message=waits)
    return Sleep(Phase.AWAKE, Hibernation(Phase.CLOSING), message="the Services are closed")


def _close(names: Names, observed: Observed, now: datetime, *, asked: bool) -> Sleep:
    """Let the gateway end, then cut all clients.

    Whose listeners are stopped can only go on to sleep: they open with the next start.
    """
    at, views = Phase.CLOSING, _reachable(observed)
    if not asked and not any(view.suspended for view in views):
        return Sleep(at, Hibernation(Phase.WAKING))
    since = _since(at, observed, now)
    left = pods_of(_key("StatefulSet", names, names.gateway), observed)
    if left:
        waits = f"{names.gateway}: {left} pods still end"
        return Sleep(at, Hibernation(at), message=waits, since=now)
    loud = [view for view in views if not view.suspended or view.connections]
    if not loud or now - since >= CUT_PATIENCE:
        return Sleep(at, Hibernation(Phase.ASLEEP), message=_pods_left(observed))
    clients = sum(view.connections for view in loud)
    return Sleep(
        at,
        Hibernation(at),
        actions=tuple(_cut(view, names) for view in loud),
        message=f"{len(loud)} nodes still have {clients} clients",
        since=since,
    )


def _reachable(observed: Observed) -> list[BrokerView]:
    alive = {p.name for p in observed.pods if not p.deleting}
    return [v for pod, v in sorted(observed.brokers.items()) if v.reachable and pod in alive]


def _cut(view: BrokerView, names: Names) -> Action:
    if not view.suspended:
        return StopListeners(pod=view.pod, cut=True)
    return DisconnectClients(pod=view.pod, node=names.node(view.pod), count=view.connections)


def _settle(cluster: Cluster, names: Names, observed: Observed) -> Sleep:
    """When the last broker is gone, its auth service and its presence store go, too."""
    at = Phase.ASLEEP
    if observed.pods:
        return Sleep(at, Hibernation(at), message=_pods_left(observed))
    left = {key.name: pods_of(key, observed) for key in _services(cluster, names)}
    ending = [f"{name}: {count} pods still end" for name, count in left.items() if count]
    message = "; ".join(ending)
    return Sleep(at, Hibernation(at, services=False), complete=not ending, message=message)


def _pods_left(observed: Observed) -> str:
    pods = ", ".join(p.name for p in observed.pods[:4])
    more = f" and {len(observed.pods) - 4} more" if len(observed.pods) > 4 else ""
    return f"these nodes still end: {pods}{more}" if pods else "the nodes end"


def _services(cluster: Cluster, names: Names) -> list[ObjectKey]:
    """What every connect asks; without it devices would see *not authorized*."""
    managed = cluster.spec.presence.store.external is None
    stores = [_key("StatefulSet", names, names.presence)] if managed else []
    return [*stores, _key("Deployment", names, names.auth)]


def _wake(cluster: Cluster, names: Names, observed: Observed) -> Sleep:
    """Start what the nodes ask, then the nodes."""
    at = Phase.ASLEEP
    missing = [key.name for key in _services(cluster, names) if not _serves(key, observed)]
    if missing:
        return Sleep(at, Hibernation(at), message=f"{' and '.join(missing)} must be ready first")
    return Sleep(at, Hibernation(Phase.WAKING), message="all nodes start")


def _open(size: Sizes, observed: Observed, membership: Membership, now: datetime) -> Sleep:
    """Let the clients in when all nodes are one cluster again, or when they have waited enough."""
    at, since = Phase.WAKING, _since(Phase.WAKING, observed, now)
    waits = {pool: _not_back(pool, size, observed, membership) for pool in Pool}
    if not any(waits.values()):
        return Sleep(at, Hibernation())
    absent = ", ".join([*waits[Pool.PUBLISHER], *waits[Pool.SUBSCRIBER]])
    some = all(any(p.ready for p in observed.pool(pool)) for pool in Pool)
    if some and now - since >= WAKE_PATIENCE:
        return Sleep(at, Hibernation(), message=f"not back yet: {absent}")
    return Sleep(at, Hibernation(at), message=f"waiting for {absent}", since=since)


def _not_back(
    pool: Pool, size: Sizes, observed: Observed, membership: Membership
) -> tuple[str, ...]:
    pods = observed.pool(pool)
    waiting = [p.name for p in pods if p.deleting or not p.ready or p.name in membership.missing]
    lacking = (size.current[pool] or size.target[pool]) - len(pods)
    return (*waiting, f"{lacking} pods of the {pool.value} pool") if lacking > 0 else (*waiting,)


def pods_of(key: ObjectKey, observed: Observed) -> int:
    """Pods that a workload of the services shall not have and still has."""
    child = observed.children.get(key)
    if child is None:
        return 0
    status = child.get("status") or {}
    wanted = int(child["spec"].get("replicas", 1))
    return int(status.get("replicas", 0)) if is_seen(child) and not wanted else max(wanted, 1)


def _serves(key: ObjectKey, observed: Observed) -> bool:
    child = observed.children.get(key, {})
    status = child.get("status") or {}
    wanted = int(child.get("spec", {}).get("replicas", 0))
    return wanted > 0 and int(status.get("readyReplicas", 0)) > 0


def sleep_news(sleep: Sleep, observed: Observed) -> tuple[tuple[str, Reason, str], ...]:
    """Type, reason and message of a transition's event."""
    match sleep.before, sleep.now.phase:
        case Phase.AWAKE | Phase.WAKING, Phase.CLOSING:
            text = "spec.hibernate: all pods end; sessions and messages stay on the volumes"
            return (("Normal", Reason.HIBERNATING, text),)
        case Phase.ASLEEP | Phase.CLOSING, Phase.WAKING:
            return (("Normal", Reason.WAKING, "all nodes start, with the disks that they had"),)
        case Phase.WAKING, Phase.AWAKE if sleep.message:
            text = f"clients are let in, though not all nodes are there; {sleep.message}"
            return (("Warning", Reason.AWAKE, text),)
        case Phase.WAKING, Phase.AWAKE:
            return (("Normal", Reason.AWAKE, "all nodes are one cluster again; clients come in"),)
    old = {c["type"]: c["status"] for c in observed.status.get("conditions", [])}
    if sleep.complete and old.get("Hibernated") != "True":
        return (("Normal", Reason.HIBERNATED, "no pod runs, all volumes are kept"),)
    return ()


def verdict(sleep: Sleep, cluster: Cluster) -> tuple[bool, Reason, str]:
    """The condition `Hibernated`: whether it is true, why, and what to do."""
    more = sleep.gateway.message if sleep.gateway and sleep.now.closed else ""
    wait = "".join(f"; {text}" for text in (sleep.message, more) if text)
    paused = cluster.paused and (sleep.asked != sleep.complete or sleep.under_way)
    if paused:
        wait = f"; nothing is done while the annotation {PAUSED_ANNOTATION} is set"
    if sleep.complete:
        return True, Reason.HIBERNATED, f"no pod runs, all volumes are kept{wait}"
    if not sleep.now.closed:
        why = f"spec.hibernate waits{wait}" if sleep.asked else "spec.hibernate is not set"
        return False, Reason.HIBERNATION_WAITS if sleep.asked else Reason.AWAKE, why
    if sleep.asked or sleep.now.phase is Phase.CLOSING:
        return False, Reason.HIBERNATING, f"on the way to sleep{wait}"
    return False, Reason.WAKING, f"on the way back from sleep{wait}"


def wake_up(cluster: Cluster) -> str:
    """How to wake it, in words."""
    patch = """-p '{"spec":{"hibernate":false}}'"""
    where = f"{cluster.name} -n {cluster.namespace}"
    return f"to wake it: kubectl patch liveconnect {where} --type=merge {patch}"
