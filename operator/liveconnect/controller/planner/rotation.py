"""Rotation of the API key and of the cookie, each step found from what is observed.

API key, live. Written down in the brokers' Secret: the next one beside the one in use → every node
accepts both → the next one is in use (the operator, the probes, the auth service), the previous one
beside it → the auth service's pods have it → every node refuses the previous one → it is dropped.

Cookie. A cluster cannot run with two, so it is a restart of all nodes at once: written down in the
Secret → the pods' templates name it → every pod that was made with another one is deleted. A pod
that is made while its kubelet has the old Secret still waits for the new one (start.sh).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.actions import Action, AddApiKey, Delete, RemoveApiKey
from liveconnect.controller.model.credentials import Credentials
from liveconnect.controller.model.hibernation import Phase
from liveconnect.controller.model.manifest import COOKIE_ANNOTATION, ObjectKey, is_seen
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import BrokerView, Observed, PodView, Pool
from liveconnect.controller.planner.membership import Membership
from liveconnect.controller.planner.reasons import Reason


@dataclass(frozen=True)
class Rotation:
    """What is rotated, and the step to take now."""

    credentials: Credentials
    """As they shall be written down by this pass."""
    actions: tuple[Action, ...] = ()
    restarting: bool = False
    """All nodes restart at once: nothing else may take a node out of service."""
    reason: Reason = Reason.IDLE
    message: str = "nothing is rotated"
    news: tuple[tuple[str, Reason, str], ...] = ()
    """Type, reason and message of events."""

    @property
    def under_way(self) -> bool:
        """Whether there is anything to rotate."""
        return self.reason is not Reason.IDLE


def plan_rotation(
    cluster: Cluster,
    names: Names,
    credentials: Credentials,
    observed: Observed,
    membership: Membership,
    asleep: Phase = Phase.AWAKE,
) -> Rotation:
    """Go on with the rotation that is under way, or begin the one that is asked for.

    A cluster that sleeps changes its cookie without a restart. Its API key waits: nodes keep the
    keys that they take on their disks, and only a running one can be told another.

    Known to be split, it begins nothing, and a key waits wherever it is: the nodes replicate the
    list of their keys, and either side would have one of its own. A cookie that has begun goes on:
    nodes of two cookies are split, and the rest of the restart is what ends it.
    """
    if asleep is not Phase.AWAKE:
        return _sleeping(cluster, credentials, observed, asleep)
    restart = _restart(names, credentials, observed)
    if restart is not None:
        return restart
    if membership.torn or membership.split:
        return _in_split(cluster, credentials, observed.fresh, membership)
    if credentials.next_api_key:
        return _spread(credentials, observed, membership)
    if credentials.previous_api_key:
        return _withdraw(names, credentials, observed, membership)
    return _next(cluster, credentials, observed.fresh)


def _next(cluster: Cluster, credentials: Credentials, fresh: Credentials | None) -> Rotation:
    """The rotation that is asked for and was not begun."""
    if fresh is not None and cluster.rotate_cookie not in {"", credentials.cookie_rotation}:
        return _begin_restart(cluster, credentials, fresh)
    if fresh is not None and cluster.rotate_api_key not in {"", credentials.api_key_rotation}:
        return _begin(cluster, credentials, fresh)
    return Rotation(credentials)


def _in_split(
    cluster: Cluster, credentials: Credentials, fresh: Credentials | None, membership: Membership
) -> Rotation:
    """What waits, and for what."""
    lone = ", ".join(membership.split)
    why = membership.held if membership.torn else f"not in one cluster with the others: {lone}"
    if credentials.next_api_key or credentials.previous_api_key:
        message = "API key: both are valid; the rotation goes on when the nodes are one cluster"
        return Rotation(credentials, reason=Reason.ROTATING_API_KEY, message=f"{message}; {why}")
    asked = _next(cluster, credentials, fresh)
    if not asked.under_way:
        return asked
    what = "cookie" if asked.reason is Reason.ROTATING_COOKIE else "API key"
    message = f"{what}: the rotation begins when the nodes are one cluster again; {why}"
    return Rotation(credentials, reason=asked.reason, message=message)


def _sleeping(
    cluster: Cluster, credentials: Credentials, observed: Observed, asleep: Phase
) -> Rotation:
    fresh = observed.fresh
    new = cluster.rotate_cookie not in {"", credentials.cookie_rotation}
    if asleep is Phase.ASLEEP and not observed.pods and fresh is not None and new:
        message = "cookie: a new one is made; the nodes wake up with it"
        return Rotation(
            replace(credentials, cookie=fresh.cookie, cookie_rotation=cluster.rotate_cookie),
            reason=Reason.ROTATING_COOKIE,
            message=message,
            news=(("Normal", Reason.ROTATING_COOKIE, message),),
        )
    if credentials.next_api_key or credentials.previous_api_key:
        message = "API key: the rotation goes on when the cluster is awake"
        return Rotation(credentials, reason=Reason.ROTATING_API_KEY, message=message)
    return Rotation(credentials)


def _begin(cluster: Cluster, credentials: Credentials, fresh: Credentials) -> Rotation:
    message = "API key: a new one is made; no connection ends"
    return Rotation(
        replace(
            credentials,
            next_api_key=fresh.api_key,
            api_key_rotation=cluster.rotate_api_key,
        ),
        reason=Reason.ROTATING_API_KEY,
        message=message,
        news=(("Normal", Reason.ROTATING_API_KEY, message),),
    )


def _spread(credentials: Credentials, observed: Observed, membership: Membership) -> Rotation:
    """Give the next key to every node; a lone node that got one could never join."""
    lacking = [p for p in observed.pods if not _view(observed, p).accepts_other]
    if observed.pods and not lacking:
        return Rotation(
            replace(
                credentials,
                api_key=credentials.next_api_key,
                previous_api_key=credentials.api_key,
                next_api_key="",
            ),
            reason=Reason.ROTATING_API_KEY,
            message="API key: every node accepts the new one; the operator changes over to it",
        )
    waiting = ", ".join(p.name for p in lacking) or "the first pod"
    whole = not membership.missing and not membership.actions and bool(membership.core)
    reached = [p for p in lacking if _view(observed, p).reachable] if whole else []
    return Rotation(
        credentials,
        actions=tuple(AddApiKey(p.name) for p in reached),
        reason=Reason.ROTATING_API_KEY,
        message=f"API key: both are valid; not yet on {waiting}",
    )


def _withdraw(
    names: Names, credentials: Credentials, observed: Observed, membership: Membership
) -> Rotation:
    """Take the previous key away, once nobody needs it."""
    views = {p.name: _view(observed, p) for p in observed.pods}
    lacking = [name for name, view in views.items() if not view.accepts_current]
    if lacking:
        whole = not membership.missing and not membership.actions
        reached = [name for name in lacking if views[name].reachable and whole]
        return Rotation(
            credentials,
            actions=tuple(AddApiKey(name) for name in reached),
            reason=Reason.ROTATING_API_KEY,
            message=f"API key: the new one is in use; not yet on {', '.join(lacking)}",
        )
    if not follows(names, observed):
        return Rotation(
            credentials,
            reason=Reason.ROTATING_API_KEY,
            message=f"API key: the new one is in use; {names.auth} changes over to it",
        )
    holding = [name for name, view in views.items() if view.accepts_other]
    if holding:
        return Rotation(
            credentials,
            actions=tuple(RemoveApiKey(name) for name in holding),
            reason=Reason.ROTATING_API_KEY,
            message=f"API key: the old one is taken from {', '.join(holding)}",
        )
    message = "API key: rotated; no node accepts the old one"
    return Rotation(
        replace(credentials, previous_api_key=""),
        reason=Reason.ROTATING_API_KEY,
        message=message,
        news=(("Normal", Reason.ROTATED_API_KEY, message),),
    )


def _view(observed: Observed, pod: PodView) -> BrokerView:
    silent = BrokerView(pod=pod.name, accepts_current=False)
    return observed.brokers.get(pod.name, silent)


def follows(names: Names, observed: Observed) -> bool:
    """Whether all pods of the auth service are of the template that was applied last."""
    key = ObjectKey("apps/v1", "Deployment", names.namespace, names.auth)
    child = observed.children.get(key)
    if child is None:
        return False
    generation = int(child["metadata"].get("generation", 0))
    status: Mapping[str, int] = child.get("status") or {}
    wanted = int(child.get("spec", {}).get("replicas", 1))
    return (
        observed.memory.applied.get(key) == generation
        and is_seen(child)
        and int(status.get("replicas", 0)) == wanted
        and int(status.get("updatedReplicas", 0)) == wanted
        and int(status.get("readyReplicas", 0)) == wanted
    )


def _begin_restart(cluster: Cluster, credentials: Credentials, fresh: Credentials) -> Rotation:
    message = (
        "cookie: a new one is made; all broker nodes restart at once, every client is "
        "disconnected and comes back"
    )
    return Rotation(
        replace(credentials, cookie=fresh.cookie, cookie_rotation=cluster.rotate_cookie),
        restarting=True,
        reason=Reason.ROTATING_COOKIE,
        message=message,
        news=(("Warning", Reason.ROTATING_COOKIE, message),),
    )


def _restart(names: Names, credentials: Credentials, observed: Observed) -> Rotation | None:
    """Delete every pod that was made with another cookie; None when there is none."""
    wanted = credentials.cookie_digest
    old = [p for p in observed.pods if p.cookie not in {"", wanted}]
    if not old:
        return None
    named = all(_template_cookie(names, pool, observed) == wanted for pool in Pool)
    gone = [p for p in old if not p.deleting] if named else []
    return Rotation(
        credentials,
        actions=tuple(
            Delete(
                ObjectKey("v1", "Pod", names.namespace, p.name),
                p.uid,
                "the cookie was rotated: all nodes restart at once",
            )
            for p in gone
        ),
        restarting=True,
        reason=Reason.ROTATING_COOKIE,
        message=f"cookie: all nodes restart at once; {len(old)} to go",
    )


def _template_cookie(names: Names, pool: Pool, observed: Observed) -> str:
    """The cookie that new pods of the pool are made with, as its controller has seen it."""
    key = ObjectKey("apps/v1", "StatefulSet", names.namespace, names.pool(pool))
    child = observed.children.get(key, {})
    if not is_seen(child):
        return ""
    template = child.get("spec", {}).get("template", {}).get("metadata", {})
    return str((template.get("annotations") or {}).get(COOKIE_ANNOTATION, ""))
