"""Whether what the object asks for is so: with it `kubectl wait` is right after every edit.

A pass looks, says what it saw and then acts. Of an edit that it has just seen for the first time it
may not say *Ready* because of what was there before.
"""

from __future__ import annotations

from collections.abc import Sequence

from liveconnect.api.v1alpha1 import AutoscalingMode, Cluster
from liveconnect.controller.model.actions import Apply, Delete
from liveconnect.controller.model.manifest import TEMPLATE_ANNOTATION, Manifest, ObjectKey, is_seen
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Observed, Pool
from liveconnect.controller.planner.drift import CHANGED, CLASS_CHANGED, MISSING
from liveconnect.controller.planner.rollout import Rollout
from liveconnect.controller.planner.sizes import Sizes

_WORKLOADS = {"Deployment", "StatefulSet"}
_MOST = 3


def not_in_force(
    cluster: Cluster, children: Sequence[Apply | Delete], observed: Observed
) -> tuple[str, ...]:
    """What the object asks for and no child says yet.

    Without an edit only pods matter: the rules of teams, certificates and the notes of drains come
    and go beside an object that is ready all the time.
    """
    edited = observed.status.get("observedGeneration") != cluster.generation
    applies = [a for a in children if isinstance(a, Apply) and a.why in {MISSING, CHANGED}]
    anew = (d.key for d in children if isinstance(d, Delete) and d.why == CLASS_CHANGED)
    return tuple(
        str(ObjectKey.of(a.manifest))
        for a in applies
        if edited or cluster.paused or _restarts(a.manifest, observed)
    ) + tuple(map(str, anew))


def _restarts(manifest: Manifest, observed: Observed) -> bool:
    """Whether it makes other pods: the brokers' StatefulSets say what their template is."""
    if manifest["kind"] not in _WORKLOADS:
        return False
    old = observed.children.get(ObjectKey.of(manifest))
    return old is None or _template(old) != _template(manifest) or not _template(manifest)


def _template(child: Manifest) -> str:
    return str((child["metadata"].get("annotations") or {}).get(TEMPLATE_ANNOTATION, ""))


def what_is_behind(
    cluster: Cluster,
    names: Names,
    observed: Observed,
    size: Sizes,
    rollout: Rollout,
    lacking: tuple[str, ...],
) -> str:
    """What is not yet as the object asks for, in words; empty when all of it is.

    Args:
        cluster: The object.
        names: Names of its children.
        observed: What the pass has seen.
        size: What the pools have.
        rollout: How far the pools' pods follow their templates.
        lacking: Children that are applied only now (`not_in_force`).
    """
    if lacking:
        more = f" and {len(lacking) - _MOST} more" if len(lacking) > _MOST else ""
        verb = "not applied while it is paused" if cluster.paused else "being applied"
        return f"changes are {verb}: {', '.join(lacking[:_MOST])}{more}"
    pools = [ObjectKey("apps/v1", "StatefulSet", names.namespace, names.pool(p)) for p in Pool]
    unseen = [key.name for key in pools if not is_seen(observed.children.get(key, {}))]
    if unseen:
        return f"Kubernetes has not looked at the change of {', '.join(unseen)} yet"
    front = ObjectKey("v1", "Service", names.namespace, names.pool(Pool.SUBSCRIBER))
    if observed.children.get(front, {}).get("metadata", {}).get("deletionTimestamp"):
        return f"{front} is made anew; it goes first, with its load balancer"
    if rollout.outdated:
        waits = f"; {rollout.waiting}" if rollout.waiting else ""
        return f"{len(rollout.outdated)} of {len(observed.pods)} nodes run an older template{waits}"
    too_many = [text for pool in Pool if (text := _too_many(cluster, pool, size, observed))]
    if too_many:
        return "; ".join(too_many)
    old = [text for key in _services(names) if (text := _older(observed.children.get(key)))]
    return "; ".join(old)


def _too_many(cluster: Cluster, pool: Pool, size: Sizes, observed: Observed) -> str:
    """Nodes beyond what the object allows, in words; empty when there are none."""
    most = _allowed(cluster, pool)
    # When the last one has left, its pod still ends.
    nodes = max(size.current[pool], len(observed.pool(pool)))
    if most is None or nodes <= most:
        return ""
    return f"{pool.value} pool: {nodes} nodes, {most} are asked for"


def _allowed(cluster: Cluster, pool: Pool) -> int | None:
    """How many nodes a pool may have; None when nobody acts on what the object says.

    Between its bounds the autoscaler shrinks the pool by itself: that is no edit.
    """
    if pool is Pool.PUBLISHER:
        return cluster.spec.publishers.replicas
    policy = cluster.spec.subscribers.autoscaling
    if policy is None:
        return cluster.spec.initial_subscribers()
    return policy.maxReplicas if policy.mode is AutoscalingMode.AUTO else None


def _services(names: Names) -> tuple[ObjectKey, ...]:
    return (
        ObjectKey("apps/v1", "Deployment", names.namespace, names.auth),
        ObjectKey("apps/v1", "StatefulSet", names.namespace, names.gateway),
        ObjectKey("apps/v1", "StatefulSet", names.namespace, names.presence),
    )


def _older(child: Manifest | None) -> str:
    """How many pods of a service are of an older template; empty when none is."""
    if child is None:
        return ""
    wanted = int(child["spec"].get("replicas", 1))
    updated = int((child.get("status") or {}).get("updatedReplicas", 0))
    lacking = wanted - updated if is_seen(child) else wanted
    name = child["metadata"]["name"]
    return f"{name}: {lacking} pods are of an older template" if lacking > 0 else ""
