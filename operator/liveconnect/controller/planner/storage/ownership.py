"""Whether the volumes of a cluster that sleeps go with its object."""

from __future__ import annotations

from liveconnect.api.v1alpha1 import Cluster, RetentionPolicy
from liveconnect.controller.model.actions import Patch
from liveconnect.controller.model.manifest import Manifest
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Observed, VolumeView
from liveconnect.controller.planner.storage.sets import key_of, volume_sets, volumes


def entrusted(cluster: Cluster, names: Names, observed: Observed) -> tuple[Patch, ...]:
    """Make claims without a pod follow `storage.retention.whenDeleted`.

    Kubernetes' controller does so for the claims of pods that there are: of a StatefulSet that has
    none, a change to `Retain` would come too late for the volumes.
    """
    patches: list[Patch] = []
    for one in volume_sets(cluster, names):
        child = observed.children.get(key_of("StatefulSet", names, one.name))
        if child is None or child["spec"].get("replicas") != 0 or not _uid(child):
            continue
        keep = one.storage.retention.whenDeleted is RetentionPolicy.RETAIN
        found = volumes(names, one.name, observed).values()
        patches += [_patch(v, child, names, keep=keep) for v in found if _owned(v, child) == keep]
    return tuple(patches)


def _uid(child: Manifest) -> str:
    return str(child["metadata"].get("uid", ""))


def _owned(volume: VolumeView, child: Manifest) -> bool:
    return any(owner.get("uid") == _uid(child) for owner in volume.owners)


def _patch(volume: VolumeView, child: Manifest, names: Names, *, keep: bool) -> Patch:
    others = [dict(owner) for owner in volume.owners if owner.get("uid") != _uid(child)]
    owner = {
        "apiVersion": child["apiVersion"],
        "kind": child["kind"],
        "name": child["metadata"]["name"],
        "uid": _uid(child),
        "controller": True,
    }
    owners = others if keep else [*others, owner]
    word = RetentionPolicy.RETAIN if keep else RetentionPolicy.DELETE
    key = key_of("PersistentVolumeClaim", names, volume.name)
    body: Manifest = {"metadata": {"ownerReferences": owners}}
    return Patch(key, volume.uid, body, f"storage.retention.whenDeleted is {word.value}")
