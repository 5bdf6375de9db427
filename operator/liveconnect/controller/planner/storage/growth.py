"""Volumes become larger, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.actions import Action, Delete, Patch
from liveconnect.controller.model.manifest import Manifest
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Observed, VolumeView
from liveconnect.controller.model.quantity import quantity
from liveconnect.controller.planner.storage.sets import (
    VolumeSet,
    is_small,
    key_of,
    volume_sets,
    volumes,
)


@dataclass(frozen=True)
class Growth:
    """How far the volumes are on their way to the sizes that the spec asks for."""

    actions: tuple[Action, ...]
    sizes: Mapping[str, str]
    """Sizes to render, by StatefulSet: what it has until it can be made anew."""
    refusals: tuple[str, ...]
    """Why volumes do not grow, and what to do."""


def grow(cluster: Cluster, names: Names, observed: Observed, *, quiet: bool) -> Growth:
    """Find the next step of every StatefulSet towards its volumes' size.

    Args:
        cluster: The object.
        names: Names of its children.
        observed: What the pass has seen.
        quiet: Whether no leave is under way: it is written down on a StatefulSet, which therefore
            stays.
    """
    actions: list[Action] = []
    sizes: dict[str, str] = {}
    refusals: list[str] = []
    for one in volume_sets(cluster, names):
        child = observed.children.get(key_of("StatefulSet", names, one.name))
        if child is None:
            continue
        has = _template_size(child)
        sizes[one.name] = has
        step, refusal = _step(one, names, child, observed, quiet=quiet)
        actions += step
        refusals += [refusal] if refusal else []
    return Growth(tuple(actions), sizes, tuple(refusals))


def _template_size(child: Manifest) -> str:
    claim = child["spec"]["volumeClaimTemplates"][0]
    return str(claim["spec"]["resources"]["requests"]["storage"])


def _step(
    one: VolumeSet, names: Names, child: Manifest, observed: Observed, *, quiet: bool
) -> tuple[list[Action], str]:
    """The next step of one StatefulSet, or why there is none."""
    wanted, has = one.storage.size, _template_size(child)
    replicas = int(child["spec"].get("replicas", 1))
    found = volumes(names, one.name, observed)
    small = [v for n, v in found.items() if n < replicas and v.bound and is_small(v, wanted)]
    refusal = next((why for v in small if (why := _refusal(one, v, observed))), "")
    if refusal:
        return [], refusal
    if small:
        body: Manifest = {"spec": {"resources": {"requests": {"storage": wanted}}}}
        why = f"{one.field}.size is {wanted}"
        claims = "PersistentVolumeClaim"
        return [Patch(key_of(claims, names, v.name), v.uid, body, why) for v in small], ""
    if quantity(has) == quantity(wanted) or not _may_be_made_anew(one, child, found, quiet=quiet):
        return [], ""
    why = f"its claims ask for {wanted} now; it is made anew around its pods"
    return [Delete(key_of("StatefulSet", names, one.name), child["metadata"]["uid"], why, True)], ""


def _may_be_made_anew(
    one: VolumeSet, child: Manifest, found: Mapping[int, VolumeView], *, quiet: bool
) -> bool:
    """Whether nothing is under way, and a pool's size could be read off its volumes (`orphans`).

    A volume of a node that has left is deleted or retired first.
    """
    if child["metadata"].get("deletionTimestamp"):
        return False
    wanted = set(range(int(child["spec"].get("replicas", 1))))
    used = {ordinal for ordinal, volume in found.items() if not volume.retired}
    return used >= wanted if one.pool is None else quiet and used == wanted


def _refusal(one: VolumeSet, volume: VolumeView, observed: Observed) -> str:
    """Why a volume cannot grow; empty when it can, or when nobody may know before it is tried."""
    name = volume.storage_class or ""
    if observed.storage_classes.get(name, True):
        return ""
    return (
        f"{one.field}.size: {volume.name} has {volume.requested} and cannot grow to "
        f"{one.storage.size}, its StorageClass {name or '(none)'} does not allow expansion: set "
        "allowVolumeExpansion: true there if its driver can, or make a new cluster object with "
        "larger volumes"
    )
