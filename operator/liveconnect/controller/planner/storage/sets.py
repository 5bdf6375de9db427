"""StatefulSets that have volumes, and the volumes that they have."""

from __future__ import annotations

from dataclasses import dataclass

from liveconnect.api.v1alpha1 import Cluster, Storage
from liveconnect.controller.model.manifest import ObjectKey
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Observed, Pool, VolumeView
from liveconnect.controller.model.quantity import quantity


@dataclass(frozen=True)
class VolumeSet:
    """A StatefulSet with volumes, as the spec wants it."""

    name: str
    field: str
    """Where the spec speaks of it."""
    storage: Storage
    pool: Pool | None = None
    """The pool whose nodes are members: what it has, not what the spec asks for, is its size."""


def volume_sets(cluster: Cluster, names: Names) -> tuple[VolumeSet, ...]:
    """The StatefulSets with volumes that the spec asks for."""
    spec = cluster.spec
    pools = {Pool.PUBLISHER: spec.publishers.storage, Pool.SUBSCRIBER: spec.subscribers.storage}
    sets = [
        *(
            VolumeSet(names.pool(pool), f"spec.{pool.value}s.storage", storage, pool)
            for pool, storage in pools.items()
        ),
        VolumeSet(names.gateway, "spec.gateway.outbox.storage", spec.gateway.outbox.storage),
    ]
    if spec.presence.store.external is None:
        field = "spec.presence.store.managed.storage"
        sets.append(VolumeSet(names.presence, field, spec.presence.store.settings.storage))
    return tuple(sets)


def key_of(kind: str, names: Names, name: str) -> ObjectKey:
    """The key of a StatefulSet, ConfigMap or claim of this cluster."""
    version = "apps/v1" if kind == "StatefulSet" else "v1"
    return ObjectKey(version, kind, names.namespace, name)


def volumes(names: Names, name: str, observed: Observed) -> dict[int, VolumeView]:
    """Volumes of a StatefulSet by ordinal."""
    prefix = names.claim(f"{name}-")
    return {
        int(claim[len(prefix) :]): volume
        for claim, volume in sorted(observed.volumes.items())
        if claim.startswith(prefix) and claim[len(prefix) :].isdecimal()
    }


def orphans(names: Names, pool: Pool, observed: Observed) -> int:
    """Size of a pool whose StatefulSet is not there: its pods and volumes still are.

    It was deleted to be made anew, by this operator or by somebody, or the object itself was, with
    `whenDeleted: Retain`. Made anew with fewer, its nodes would be gone without having left.
    """
    used = {p.ordinal for p in observed.pool(pool) if not p.deleting}
    found = volumes(names, names.pool(pool), observed)
    used |= {ordinal for ordinal, volume in found.items() if not volume.retired}
    return max(used, default=-1) + 1


def classes_in_question(cluster: Cluster, names: Names, observed: Observed) -> frozenset[str]:
    """Storage classes that something depends on now: of volumes that must grow or do not come."""
    return frozenset(
        volume.storage_class
        for one in volume_sets(cluster, names)
        for volume in volumes(names, one.name, observed).values()
        if volume.storage_class and (not volume.bound or is_small(volume, one.storage.size))
    )


def is_small(volume: VolumeView, size: str) -> bool:
    """Whether a volume's claim asks for less than this."""
    return quantity(volume.requested) < quantity(size)
