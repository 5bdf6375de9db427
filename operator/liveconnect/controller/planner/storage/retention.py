"""What becomes of the volumes of nodes that have left."""

from __future__ import annotations

from collections.abc import Iterable

from liveconnect.api.v1alpha1 import Cluster, RetentionPolicy
from liveconnect.controller.model.actions import Action, Delete, Patch
from liveconnect.controller.model.manifest import Manifest
from liveconnect.controller.model.names import (
    LIFE_ANNOTATION,
    LIVES_KEY,
    RETIRED_ANNOTATION,
    Names,
)
from liveconnect.controller.model.observed import Observed, Pool, VolumeView
from liveconnect.controller.planner.storage.sets import key_of, volumes


def lives(observed: Observed) -> dict[str, str]:
    """Pods whose volume has served an earlier life, and the life that it serves now."""
    return {
        name.removeprefix("data-"): volume.life
        for name, volume in sorted(observed.volumes.items())
        if volume.life
    }


def told(names: Names, pool: Pool, volume: VolumeView, observed: Observed) -> bool:
    """Whether a pod that starts now would learn the volume's life."""
    config = observed.children.get(key_of("ConfigMap", names, names.pool(pool)), {})
    line = f"{volume.name.removeprefix('data-')} {volume.life}"
    return line in (config.get("data") or {}).get(LIVES_KEY, "").splitlines()


def vacant(names: Names, pool: Pool, ordinal: int, observed: Observed) -> bool:
    """Whether a pool can have nodes from this ordinal on: no volume lets one begin with old state.

    The volume is not there, or it is retired and the pod would know of it.
    """
    return all(
        volume.retired and told(names, pool, volume, observed)
        for number, volume in volumes(names, names.pool(pool), observed).items()
        if number >= ordinal
    )


def renewed(names: Names, members: Iterable[str], observed: Observed) -> tuple[Patch, ...]:
    """Take the mark off the volumes of nodes that have begun their new life.

    Args:
        names: Names of this cluster's children.
        members: Node names of the cluster.
        observed: What the pass has seen.
    """
    pods = {pod for pod, view in observed.brokers.items() if view.reachable}
    pods &= {names.pod_of(node) for node in members}
    return tuple(
        _mark(names, volume, {RETIRED_ANNOTATION: None}, "its node is a member again")
        for name, volume in sorted(observed.volumes.items())
        if volume.retired and name.removeprefix("data-") in pods
    )


def _mark(names: Names, volume: VolumeView, marks: Manifest, why: str) -> Patch:
    key = key_of("PersistentVolumeClaim", names, volume.name)
    return Patch(key, volume.uid, {"metadata": {"annotations": marks}}, why)


def retained(
    cluster: Cluster, names: Names, observed: Observed, actions: Iterable[Action]
) -> tuple[Action, ...]:
    """The actions, with claims that shall be kept marked as retired instead of deleted.

    A pod that would be deleted together with its claim, to begin anew, waits until its successor
    would know of it.
    """
    kept = {
        pool
        for pool, storage in (
            (Pool.PUBLISHER, cluster.spec.publishers.storage),
            (Pool.SUBSCRIBER, cluster.spec.subscribers.storage),
        )
        if storage.retention.whenScaled is RetentionPolicy.RETAIN
    }
    actions = tuple(actions)
    renewing = {a.key.name for a in actions if isinstance(a, Delete)}
    out: list[Action] = []
    for action in actions:
        pool = _pool_of(action, names) if isinstance(action, Delete) else None
        if not isinstance(action, Delete) or pool not in kept or pool is None:
            out.append(action)
        elif action.key.kind == "PersistentVolumeClaim":
            volume = observed.volumes[action.key.name]
            out += () if volume.retired else (_retire(names, volume, action.why),)
        elif names.claim(action.key.name) not in renewing or _may_begin_anew(
            names, pool, action.key.name, observed
        ):
            out.append(action)
    return tuple(out)


def _may_begin_anew(names: Names, pool: Pool, pod: str, observed: Observed) -> bool:
    volume = observed.volumes.get(names.claim(pod))
    return volume is None or (volume.retired and told(names, pool, volume, observed))


def _pool_of(action: Delete, names: Names) -> Pool | None:
    """The pool of a node's pod or claim."""
    if action.key.kind not in {"Pod", "PersistentVolumeClaim"}:
        return None
    pod = action.key.name.removeprefix("data-")
    return next((p for p in Pool if pod.rpartition("-")[0] == names.pool(p)), None)


def _retire(names: Names, volume: VolumeView, why: str) -> Patch:
    """Mark a claim; the next life has a number that no volume of another claim ever had."""
    number = int(volume.life.rpartition("-")[2] or 0) + 1
    life = f"{volume.uid[:8]}-{number}"
    return _mark(names, volume, {LIFE_ANNOTATION: life, RETIRED_ANNOTATION: "true"}, why)
