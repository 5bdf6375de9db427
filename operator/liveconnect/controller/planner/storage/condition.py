"""The condition `StorageReady`."""

from __future__ import annotations

from liveconnect.api.v1alpha1 import Cluster, ConditionStatus
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Observed, VolumeView
from liveconnect.controller.model.quantity import quantity
from liveconnect.controller.planner.reasons import Reason
from liveconnect.controller.planner.storage.growth import grow
from liveconnect.controller.planner.storage.sets import VolumeSet, volume_sets, volumes

Verdict = tuple[ConditionStatus, str, str]


def storage_ready(cluster: Cluster, names: Names, observed: Observed) -> Verdict:
    """The condition: every volume is there and has its size."""
    found = [
        (one, volume)
        for one in volume_sets(cluster, names)
        for volume in volumes(names, one.name, observed).values()
        if not volume.retired
    ]
    if not found:
        return ConditionStatus.UNKNOWN, Reason.CREATING, "no volume was asked for yet"
    refusals = [
        *grow(cluster, names, observed, quiet=False).refusals,
        *(why for one, v in found if (why := _missing_class(one, v, observed))),
    ]
    if refusals:
        return ConditionStatus.FALSE, Reason.VOLUME_REFUSED, "; ".join(dict.fromkeys(refusals))
    pending = [v for _, v in found if not v.bound]
    if pending:
        text = ", ".join(f"{v.name} ({v.requested})" for v in pending)
        return ConditionStatus.FALSE, Reason.VOLUME_PENDING, f"no volume yet for {text}"
    growing = [v for one, v in found if quantity(v.capacity) < quantity(one.storage.size)]
    if growing:
        text = ", ".join(f"{v.name}{f' ({v.trouble})' if v.trouble else ''}" for v in growing)
        return ConditionStatus.FALSE, Reason.VOLUME_GROWING, f"volumes are made larger: {text}"
    return ConditionStatus.TRUE, Reason.VOLUMES_READY, f"{len(found)} volumes"


def _missing_class(one: VolumeSet, volume: VolumeView, observed: Observed) -> str:
    """Why a volume will never come; empty when it is there or may come."""
    name = volume.storage_class
    if volume.bound:
        return ""
    if not name:
        return (
            f"{one.field}.storageClassName: not set, and this Kubernetes cluster has no default "
            f"StorageClass, so {volume.name} gets no volume: make one the default, or make a new "
            "cluster object that names one"
        )
    if name in observed.storage_classes and observed.storage_classes[name] is None:
        return (
            f"{one.field}.storageClassName: there is no StorageClass {name}, so {volume.name} "
            "gets no volume: create it, or make a new cluster object that names another"
        )
    return ""
