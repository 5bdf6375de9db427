"""Which node joins, which dead member is forgotten: one step at a time over both pools.

The rules come from VerneMQ's contract (operations.md): a node joins only while it is empty, a join
is done when all lists agree and not when the command says *Done*, a restart is never a leave, a
member that nobody wants any more is forgotten, and a node that believes in a membership which
nobody shares must lose its disk before it can come back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from liveconnect.controller.model.actions import Action, Delete, ForgetNode, JoinNode
from liveconnect.controller.model.departure import Departure, Purpose
from liveconnect.controller.model.manifest import ObjectKey
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import BrokerView, Memory, Observed, PodView

#: A join that was asked for gets this long until all lists must agree (recorded: 5–15 s).
JOIN_PATIENCE = timedelta(seconds=25)
#: A node that lists members who do not list it may be about to be listed: one that joins sees the
#: others some seconds before they see it (recorded: 8–9 s after the command, and 7–10 s).
STRANGER_PATIENCE = timedelta(seconds=15)
#: A member without a wanted pod is forgotten after being down for this long.
FORGET_PATIENCE = timedelta(seconds=5)
#: A lone node is refused so often before its disk is held to be of another life. VerneMQ gives no
#: reason over HTTP, and a discovery node that just restarts is refused alike (http-and-cli.md).
MOST_REFUSALS = 2


@dataclass(frozen=True)
class Membership:
    """How the nodes see each other."""

    actions: tuple[Action, ...]
    """The one step to take now."""
    core: frozenset[str]
    """Node names of the cluster: the largest group that agrees on itself."""
    missing: tuple[str, ...]
    """Wanted pods that are not members everywhere yet."""
    states: Mapping[str, str]
    """Pod to a word for `status.nodes[].state`."""
    memory: Memory

    absent: tuple[str, ...] = ()
    """Those of the missing that were never seen: no member, nobody answers."""
    split: tuple[str, ...] = ()
    """Those of the missing that are ready: they may have clients that the others do not reach."""
    torn: bool = False
    """Whether messages are known not to get from node to node, whatever the lists say."""
    held: str = ""
    """Why no node may be taken out of service, although the lists agree; empty when one may."""

    @property
    def converged(self) -> bool:
        """Whether all wanted nodes form one cluster and nothing else belongs to it."""
        agreed = not self.actions and not self.missing and len(self.core) > 0
        return agreed and not self.held

    @property
    def whole(self) -> bool:
        """Whether all nodes that were ever there form one cluster: a node may leave it."""
        agreed = not self.actions and self.missing == self.absent and len(self.core) > 1
        return agreed and not self.held


def _core(
    names: Names, views: Mapping[str, BrokerView], pods: tuple[PodView, ...]
) -> frozenset[str]:
    """The member list that the most nodes share; a lone first publisher when nobody has any."""
    lists: dict[frozenset[str], int] = {}
    for pod, view in views.items():
        if names.node(pod) in view.members and len(view.members) > 1:
            lists[frozenset(view.members)] = lists.get(frozenset(view.members), 0) + 1
    if lists:
        return max(lists, key=lambda members: (lists[members], len(members), sorted(members)))
    lone = [p.name for p in pods if p.name in views and views[p.name].reachable]
    return frozenset({names.node(lone[0])}) if lone else frozenset()


def _state(pod: PodView, view: BrokerView | None, core: frozenset[str], node: str) -> str:
    if view is None or not view.reachable:
        return "Unreachable" if pod.ready else "Starting"
    if view.suspended:
        return "Leaving"
    if node in core and (set(view.members) == core or not core):
        return "Running" if pod.ready else "Starting"
    return "Joining"


def _running_core_pod(
    names: Names, views: Mapping[str, BrokerView], core: frozenset[str]
) -> str | None:
    """A reachable pod of the core that is not on its way out, the first by name."""
    candidates = sorted(
        pod
        for pod, view in views.items()
        if view.reachable and names.node(pod) in core and not view.suspended
    )
    return candidates[0] if candidates else None


def plan_membership(
    *,
    names: Names,
    observed: Observed,
    wanted: tuple[str, ...],
    departure: Departure | None,
    patience: timedelta,
    now: datetime,
) -> Membership:
    """Find the next membership step.

    Args:
        names: Names of this cluster's children.
        observed: What the pass has seen.
        wanted: Pods that shall be members, publishers first.
        departure: The node that is taken out of service, if any. One that leaves is not joined,
            and forgotten only when it died meanwhile and stayed away.
        patience: How long a leaving node may be down before it is forgotten: what is queued on
            its disk is lost with it.
        now: The time of the pass.
    """
    leaving = departure.pod if departure and departure.purpose is Purpose.LEAVE else None
    pods = tuple(
        sorted(observed.pods, key=lambda p: wanted.index(p.name) if p.name in wanted else 999)
    )
    views = {p.name: observed.brokers[p.name] for p in pods if p.name in observed.brokers}
    core = _core(names, views, tuple(p for p in pods if p.name in wanted))
    down = _members_down(views, core, names)
    memory = replace(
        observed.memory,
        joins={p: at for p, at in observed.memory.joins.items() if names.node(p) not in core},
        refusals={u: n for u, n in observed.memory.refusals.items() if u in {p.uid for p in pods}},
        strangers={
            p.uid: observed.memory.strangers.get(p.uid, now)
            for p in pods
            if _is_stranger(p.name, views, core, names)
        },
        absences={node: observed.memory.absences.get(node, now) for node in down},
    )
    states = {p.name: _state(p, views.get(p.name), core, names.node(p.name)) for p in pods}
    missing = tuple(p for p in wanted if p != leaving and not _agrees(p, views, core, names))
    ready = {p.name for p in pods if p.ready}
    forget = _forget(names, views, core, memory, wanted, leaving, patience, now)
    refused = _refused(pods, memory)
    join = None if forget else _join(names, views, core, memory, missing, refused, now)
    actions: tuple[Action, ...] = ()
    if forget:
        actions = (forget,)
    elif join:
        actions = (join,)
        memory = replace(memory, joins={**memory.joins, join.pod: now})
    else:
        lost = refused | _strangers(pods, memory, now)
        actions = _wipe(names, observed, views, core, missing, lost)
    return Membership(
        actions=actions,
        core=core,
        missing=missing,
        states=states,
        memory=memory,
        absent=tuple(p for p in missing if _never_seen(p, views, core, names)),
        split=tuple(p for p in missing if p in ready and views.get(p) and views[p].reachable),
    )


def _never_seen(
    pod: str, views: Mapping[str, BrokerView], core: frozenset[str], names: Names
) -> bool:
    view = views.get(pod)
    return len(core) > 0 and names.node(pod) not in core and (view is None or not view.reachable)


def _agrees(pod: str, views: Mapping[str, BrokerView], core: frozenset[str], names: Names) -> bool:
    view = views.get(pod)
    return (
        view is not None
        and len(core) > 0
        and frozenset(view.members) == core
        and names.node(pod) in core
    )


def _members_down(
    views: Mapping[str, BrokerView], core: frozenset[str], names: Names
) -> frozenset[str]:
    """Members of the core that every reachable member of it calls not running."""
    speakers = [v for p, v in views.items() if v.reachable and names.node(p) in core]
    return frozenset(
        node for node in core if speakers and all(not v.members.get(node, False) for v in speakers)
    )


def _forget(  # noqa: PLR0913 - the pass, taken apart
    names: Names,
    views: Mapping[str, BrokerView],
    core: frozenset[str],
    memory: Memory,
    wanted: tuple[str, ...],
    leaving: str | None,
    patience: timedelta,
    now: datetime,
) -> ForgetNode | None:
    """A member that is down and has no wanted pod: it will never come back."""
    via = _running_core_pod(names, views, core)
    for node, since in sorted(memory.absences.items()):
        pod = names.pod_of(node)
        due = patience if pod == leaving else FORGET_PATIENCE
        if via and pod not in wanted and now - since >= due:
            return ForgetNode(via=via, node=node)
    return None


def _join(  # noqa: PLR0913 - the pass, taken apart
    names: Names,
    views: Mapping[str, BrokerView],
    core: frozenset[str],
    memory: Memory,
    missing: tuple[str, ...],
    refused: frozenset[str],
    now: datetime,
) -> JoinNode | None:
    """The first lone node, unless a join is still settling."""
    if any(now - at < JOIN_PATIENCE for at in memory.joins.values()):
        return None
    via = _running_core_pod(names, views, core)
    for pod in missing:
        view = views.get(pod)
        if via is None or via == pod or view is None or not _lone(pod, view, names):
            continue
        if names.node(pod) in core:
            continue  # an old member with an empty disk: the others' gossip brings it back
        if pod in refused:
            continue  # it is not empty: its disk goes first
        return JoinNode(pod=pod, discovery_node=names.node(via))
    return None


def _refused(pods: tuple[PodView, ...], memory: Memory) -> frozenset[str]:
    """Pods that the cluster does not take in; never one that is ready, for it has clients."""
    return frozenset(
        p.name for p in pods if not p.ready and memory.refusals.get(p.uid, 0) >= MOST_REFUSALS
    )


def _is_stranger(
    pod: str, views: Mapping[str, BrokerView], core: frozenset[str], names: Names
) -> bool:
    view = views.get(pod)
    return view is not None and len(view.members) > 1 and names.node(pod) not in core


def _strangers(pods: tuple[PodView, ...], memory: Memory, now: datetime) -> frozenset[str]:
    """Pods that have believed in a membership which nobody shares for too long to be joining."""
    since = memory.strangers
    return frozenset(
        p.name for p in pods if p.uid in since and now - since[p.uid] >= STRANGER_PATIENCE
    )


def _lone(pod: str, view: BrokerView, names: Names) -> bool:
    return set(view.members) == {names.node(pod)}


def _wipe(
    names: Names,
    observed: Observed,
    views: Mapping[str, BrokerView],
    core: frozenset[str],
    missing: tuple[str, ...],
    lost: frozenset[str],
) -> tuple[Delete, ...]:
    """The claim and the pod of a node with the state of another life.

    It is lost: its members do not list it (it was forgotten), or it is alone and the others refuse
    it (it left).
    """
    for pod in missing:
        view = views.get(pod)
        node = names.node(pod)
        if view is None or node in core or len(core) < 2 or pod not in lost:
            continue
        claim = names.claim(pod)
        if claim in observed.claims:
            why = f"{pod} has the state of another life"
            uid = next(p.uid for p in observed.pods if p.name == pod)
            return (
                Delete(
                    ObjectKey("v1", "PersistentVolumeClaim", names.namespace, claim),
                    observed.claims[claim],
                    why,
                ),
                Delete(ObjectKey("v1", "Pod", names.namespace, pod), uid, why),
            )
    return ()
