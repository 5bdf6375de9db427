"""Whether the nodes are one mesh: their member lists, and messages that were tried between them.

Only what was seen to fail counts as a split: a message between two nodes that are both connected
and take messages did not arrive, or a node that answers is called dead by another. What could not
be tried, because the auth service is away for example, is *Unknown* and holds nothing up: the
change that repairs it may be a roll.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import permutations
from statistics import median

import pydantic

from liveconnect.api.v1alpha1 import ConditionStatus, MeshStatus
from liveconnect.controller.model.manifest import Manifest
from liveconnect.controller.model.mesh import Delivery, MeshView, Pair, Target
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Observed, PodView
from liveconnect.controller.planner.membership import Membership
from liveconnect.controller.planner.reasons import Reason

#: What was found longer ago says nothing any more; several rounds lie within.
STALE = timedelta(minutes=3)
#: `status.mesh` is renewed so often when nothing else changes.
RENEWAL = timedelta(hours=1)
#: Pairs that a message names.
_NAMED = 4
#: Pairs in `status.mesh.failing`.
_LISTED = 10
#: Latencies that differ by less than this, or by less than twofold, are not written anew.
_SLACK_MS = 10


@dataclass(frozen=True)
class Mesh:
    """How the nodes reach each other."""

    status: ConditionStatus
    """Of `MeshVerified`."""
    reason: Reason
    message: str
    targets: tuple[Target, ...] = ()
    """Nodes between which messages are tried from now on."""
    split: str = ""
    """Between which nodes no messages get; empty when none are known."""
    held: str = ""
    """Why no node may be taken out of service now; empty when one may."""
    shown: MeshStatus | None = None
    """`status.mesh`."""


def look_at_mesh(
    names: Names, observed: Observed, membership: Membership, drained: str | None, now: datetime
) -> Mesh:
    """Judge what the brokers say of each other and what the canary found.

    Args:
        names: of the cluster's children.
        observed: what the pass has seen.
        membership: how the member lists agree.
        drained: the pod that is taken out of service; nothing connects to it any more.
        now: the time of the pass.
    """
    tried_pods = (p for p in observed.pods if p.name != drained)
    pods = tuple(p for p in tried_pods if _is_tried(p, names, observed, membership))
    targets = tuple(_target(p) for p in pods) if len(pods) > 1 else ()
    pairs = _known(targets, observed.mesh, now)
    lost = [pair for pair, delivery in pairs.items() if delivery.seconds is None]
    split = _split(_disowned(pods, names, observed), lost)
    before = _before(targets, observed)
    if before is not None and before["reason"] == Reason.SPLIT:
        split = split or before["message"]
    whole = observed.mesh is None or len(pairs) == len(targets) * (len(targets) - 1)
    faults = {
        t.pod: observed.mesh.faults[t.life]
        for t in targets
        if observed.mesh is not None and not whole and t.life in observed.mesh.faults
    }
    held = split
    if not held and not whole and not faults:
        held = "messages between the nodes are being tried"
    tried = observed.mesh is not None and len(targets) == len(membership.core) > 1
    trying = "" if before is not None else held
    status, reason, message = _verdict(membership, split, trying, faults, tried=tried)
    verified = status is ConditionStatus.TRUE
    shown = _shown(pairs, verified=verified, before=observed.status.get("mesh"))
    if before is not None:
        shown = _parsed(observed.status.get("mesh"))
    return Mesh(status, reason, message, targets, split, held, shown)


def mesh_news(mesh: Mesh, status: Manifest) -> tuple[tuple[str, Reason, str], ...]:
    """Events: type, reason and message of a split that begins or is over."""
    old = {c["type"]: c.get("reason") for c in status.get("conditions") or []}
    before = old.get("MeshVerified") == Reason.SPLIT
    if mesh.split and not before:
        return (("Warning", Reason.SPLIT, mesh.message),)
    if before and mesh.status is ConditionStatus.TRUE:
        return (("Normal", Reason.ONE_CLUSTER, mesh.message),)
    return ()


def _before(targets: tuple[Target, ...], observed: Observed) -> Manifest | None:
    """The condition that another process left, while this one has not tried anything yet.

    It stays for those seconds: an operator's restart is no news of the brokers.
    """
    mesh = observed.mesh
    if mesh is None or mesh.pairs or mesh.faults or not targets:
        return None
    conditions: list[Manifest] = observed.status.get("conditions") or []
    old = next((c for c in conditions if c["type"] == "MeshVerified"), None)
    known = {Reason.ONE_CLUSTER, Reason.SPLIT}
    return old if old is not None and old.get("reason") in known else None


def _target(pod: PodView) -> Target:
    client_id = f"{pod.pool.value}-{pod.ordinal}"
    return Target(pod=pod.name, life=pod.life, address=pod.ip, client_id=client_id)


def _is_tried(pod: PodView, names: Names, observed: Observed, membership: Membership) -> bool:
    """Whether it is a member that takes clients: one client would keep others from joining."""
    view = observed.brokers.get(pod.name)
    return (
        view is not None
        and view.reachable
        and not view.suspended
        and pod.ready
        and not pod.deleting
        and bool(pod.ip)
        and names.node(pod.name) in membership.core
        and frozenset(view.members) == membership.core
    )


def _known(
    targets: tuple[Target, ...], mesh: MeshView | None, now: datetime
) -> dict[tuple[str, str], Delivery]:
    """What is known of each pair, by the pods' names."""
    if mesh is None:
        return {}
    found: dict[tuple[str, str], Delivery] = {}
    for a, b in permutations(targets, 2):
        pair: Pair = (a.life, b.life)
        delivery = mesh.pairs.get(pair)
        if delivery is not None and now - delivery.at < STALE:
            found[a.pod, b.pod] = delivery
    return found


def _disowned(pods: tuple[PodView, ...], names: Names, observed: Observed) -> list[tuple[str, str]]:
    """Pairs of which the one calls the other not running, although it answers."""
    return [
        (a.name, b.name)
        for a, b in permutations(pods, 2)
        if not observed.brokers[a.name].members.get(names.node(b.name), False)
    ]


def _split(disowned: list[tuple[str, str]], lost: list[tuple[str, str]]) -> str:
    said = []
    if lost:
        pairs = _some(f"from {a} to {b}" for a, b in sorted(lost))
        said.append(f"no messages get {pairs}{_common(lost)}")
    if disowned:
        pairs = _some(f"{a} does not see {b}" for a, b in sorted(disowned))
        said.append(f"{pairs}{_common(disowned)}")
    return "; ".join(said)


def _some(words: Iterable[str]) -> str:
    found = list(words)
    more = len(found) - _NAMED
    return ", ".join(found[:_NAMED]) + (f" and {more} more pairs" if more > 0 else "")


def _common(pairs: list[tuple[str, str]]) -> str:
    """The node that all have in common: where to look first."""
    counts = Counter(pod for pair in pairs for pod in pair)
    shared = [pod for pod, count in counts.items() if count == len(pairs)]
    return f" (look at {shared[0]})" if len(shared) == 1 and len(pairs) > 1 else ""


def _verdict(
    membership: Membership, split: str, held: str, faults: Mapping[str, str], *, tried: bool
) -> tuple[ConditionStatus, Reason, str]:
    if not membership.core:
        why = "no broker node has told its member list yet"
        return ConditionStatus.UNKNOWN, Reason.NODES_MISSING, why
    if membership.missing:
        missing = f"not yet in one cluster with the others: {', '.join(membership.missing)}"
        said = f"{missing}; {split}" if split else missing
        reason = Reason.SPLIT if split else Reason.NODES_MISSING
        return ConditionStatus.FALSE, reason, said
    if split:
        return ConditionStatus.FALSE, Reason.SPLIT, split
    lists = f"{len(membership.core)} nodes list each other"
    if held:
        return ConditionStatus.UNKNOWN, Reason.VERIFYING, f"{lists}; {held}"
    if faults:
        why = "; ".join(f"{pod}: {fault}" for pod, fault in sorted(faults.items()))
        said = f"{lists}; messages between them cannot be tried: {why}"
        return ConditionStatus.UNKNOWN, Reason.NOT_VERIFIABLE, said
    if tried:
        lists += ", and messages get from each to each"
    return ConditionStatus.TRUE, Reason.ONE_CLUSTER, lists


def _shown(
    pairs: Mapping[tuple[str, str], Delivery], *, verified: bool, before: Manifest | None
) -> MeshStatus | None:
    """`status.mesh`: the old one unless something has changed that is worth a write."""
    if not pairs:
        return None
    old = _parsed(before)
    millis = [max(round(d.seconds * 1000), 1) for d in pairs.values() if d.seconds is not None]
    failing = sorted(f"{a} → {b}" for (a, b), d in pairs.items() if d.seconds is None)
    moment = min(d.at for d in pairs.values()).replace(microsecond=0)
    new = MeshStatus(
        verifiedAt=moment if verified else (old.verifiedAt if old else None),
        pairs=len(pairs),
        failing=failing[:_LISTED],
        medianMs=round(median(millis)) if millis else None,
        slowestMs=max(millis, default=None),
    )
    return old if old is not None and _says_the_same(old, new) else new


def _parsed(before: Manifest | None) -> MeshStatus | None:
    try:
        return MeshStatus.model_validate(before) if before else None
    except pydantic.ValidationError:
        return None  # another version's


def _says_the_same(old: MeshStatus, new: MeshStatus) -> bool:
    if (old.pairs, old.failing) != (new.pairs, new.failing):
        return False
    if old.verifiedAt is None or new.verifiedAt is None:
        recent = old.verifiedAt == new.verifiedAt
    else:
        recent = new.verifiedAt - old.verifiedAt < RENEWAL
    return recent and _alike(old.medianMs, new.medianMs) and _alike(old.slowestMs, new.slowestMs)


def _alike(old: int | None, new: int | None) -> bool:
    if old is None or new is None:
        return old == new
    return abs(old - new) < _SLACK_MS or max(old, new) < 2 * min(old, new)
