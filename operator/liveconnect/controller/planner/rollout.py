"""Which pod is made anew next, when the pools' template has changed.

The StatefulSets' update strategy is *OnDelete*: this module decides. One node at a time over both
pools, publishers first, each only while everything else is ready and one cluster; a node that is
broken goes first and at once, so that a reverted change recovers by itself. (With *RollingUpdate*
the controller waits for ever for a broken pod: kubernetes issue 67250.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from liveconnect.controller.model.manifest import ObjectKey, is_seen
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Observed, PodView, Pool
from liveconnect.controller.planner.membership import Membership

#: A template must have stood for this long before the first pod goes: quick edits make one roll.
SETTLE = timedelta(seconds=4)


@dataclass(frozen=True)
class Rollout:
    """How far the pools' pods follow their templates."""

    outdated: tuple[PodView, ...] = ()
    """Pods of an older template, in the order in which they are made anew."""
    drain: PodView | None = None
    """The pod that may be drained and made anew now."""
    replace: PodView | None = None
    """A broken pod that is made anew at once: it serves nobody."""
    waiting: str = ""
    """Why nothing may be done now, in words; empty when nothing waits."""
    revisions: Mapping[Pool, tuple[str, datetime]] | None = None
    """The templates' revisions and since when they are known, to be remembered."""
    unsettled: str = ""
    """Why a pod that is made anew now may have to be made anew once more; empty when not."""


def plan_rollout(
    names: Names, observed: Observed, membership: Membership, now: datetime
) -> Rollout:
    """Find the next pod to make anew."""
    known = {pool: _revision(names, pool, observed) for pool in Pool}
    revisions = {
        pool: (revision, _since(pool, revision, observed, now))
        for pool, revision in known.items()
        if revision is not None
    }
    outdated = tuple(
        pod
        for pool in Pool
        for pod in reversed(observed.pool(pool))
        if (revision := known[pool]) and pod.revision and pod.revision != revision
    )
    unsettled = _unsettled(known, revisions, now)
    if not outdated:
        return Rollout(revisions=revisions, unsettled=unsettled)
    waiting = unsettled or _waiting(observed, outdated)
    if waiting:
        return Rollout(outdated, waiting=waiting, revisions=revisions, unsettled=unsettled)
    broken = next((p for p in outdated if not p.ready), None)
    if broken is not None:
        return Rollout(outdated, replace=broken, revisions=revisions)
    if not membership.converged:
        why = membership.held or "the nodes are not one cluster"
        return Rollout(outdated, waiting=why, revisions=revisions)
    return Rollout(outdated, drain=outdated[0], revisions=revisions)


def _unsettled(
    known: Mapping[Pool, str | None],
    revisions: Mapping[Pool, tuple[str, datetime]],
    now: datetime,
) -> str:
    if any(revision is None for revision in known.values()):
        return "the StatefulSet controller has not seen the change yet"
    if any(now - since < SETTLE for _, since in revisions.values()):
        return "the change is a moment old; another may follow"
    return ""


def _waiting(observed: Observed, outdated: tuple[PodView, ...]) -> str:
    old = {p.name for p in outdated}
    busy = [p for p in observed.pods if p.deleting or (p.name not in old and not p.ready)]
    if busy:
        said = [f"{p.name} ({p.trouble})" if p.trouble else p.name for p in busy]
        return f"waiting for {', '.join(said)}"
    return ""


def _revision(names: Names, pool: Pool, observed: Observed) -> str | None:
    """The revision of the pool's template; None while its controller has not looked at it."""
    key = ObjectKey("apps/v1", "StatefulSet", names.namespace, names.pool(pool))
    child = observed.children.get(key, {})
    if not child.get("metadata", {}).get("generation") or not is_seen(child):
        return None
    return str((child.get("status") or {}).get("updateRevision", "")) or None


def _since(pool: Pool, revision: str, observed: Observed, now: datetime) -> datetime:
    before = observed.memory.revisions.get(pool)
    return before[1] if before is not None and before[0] == revision else now
