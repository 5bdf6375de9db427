"""How many pods each pool shall have now, and which one shall leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.departure import Departure, Purpose
from liveconnect.controller.model.hibernation import nodes_of
from liveconnect.controller.model.manifest import ObjectKey
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Observed, Pool
from liveconnect.controller.planner.autoscale import Scale, autoscale
from liveconnect.controller.planner.storage import orphans


@dataclass(frozen=True)
class Sizes:
    """The pools' sizes, when the cluster is awake."""

    current: Mapping[Pool, int]
    """Replicas of the StatefulSets as they are (0 before they exist)."""
    target: Mapping[Pool, int]
    """Where the object or the autoscaler wants them."""
    departure: Departure | None
    """The node that is taken out of service, as written down on its StatefulSet."""
    scale: Scale | None
    """The autoscaler's answer, if there is one."""

    @property
    def leaving(self) -> str | None:
        """The pod whose node leaves the cluster."""
        departure = self.departure
        return departure.pod if departure and departure.purpose is Purpose.LEAVE else None

    @property
    def standing(self) -> dict[Pool, int]:
        """Pods of each pool when nothing changes; a pool that does not exist yet is made whole."""
        return {pool: self.current[pool] or self.target[pool] for pool in Pool}

    def held(self) -> Sizes:
        """The same, standing still."""
        return replace(self, target=self.standing, scale=None)


def _stateful_set(names: Names, pool: Pool) -> ObjectKey:
    return ObjectKey("apps/v1", "StatefulSet", names.namespace, names.pool(pool))


def sizes(cluster: Cluster, names: Names, observed: Observed, now: datetime) -> Sizes:
    """Read the sizes off the children, the object and the load."""
    current: dict[Pool, int] = {}
    departure = None
    for pool in Pool:
        found = observed.children.get(_stateful_set(names, pool))
        annotations = (found or {}).get("metadata", {}).get("annotations") or {}
        departure = departure or Departure.read(annotations, now)
        # Not the number of pods: one that sleeps, or whose number somebody has set, has as many
        # nodes as it had.
        current[pool] = (
            nodes_of(annotations)
            or int((found or {}).get("spec", {}).get("replicas", 0))
            or orphans(names, pool, observed)
        )
    target = {
        Pool.PUBLISHER: cluster.spec.publishers.replicas,
        Pool.SUBSCRIBER: cluster.spec.initial_subscribers(),
    }
    policy = cluster.spec.subscribers.autoscaling
    scale = None
    if policy is not None and current[Pool.SUBSCRIBER]:
        scale = autoscale(
            policy,
            current=current[Pool.SUBSCRIBER],
            connections=_connections(observed),
            window=observed.memory.recommendations,
            now=now,
        )
        target[Pool.SUBSCRIBER] = scale.replicas
    return Sizes(current, target, departure, scale)


def _connections(observed: Observed) -> int | None:
    """Connections of the subscriber pool; None when any of its nodes does not tell."""
    pods = observed.pool(Pool.SUBSCRIBER)
    views = [observed.brokers.get(p.name) for p in pods]
    if not views or any(v is None or not v.reachable for v in views):
        return None
    return sum(v.connections for v in views if v is not None)
