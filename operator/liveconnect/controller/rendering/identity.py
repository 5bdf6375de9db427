"""What every child carries: namespace, labels, its owner, the hash of itself."""

from __future__ import annotations

from liveconnect.api.v1alpha1 import API_VERSION, KIND, Cluster
from liveconnect.api.v1alpha1.cluster import RESTART_ANNOTATION
from liveconnect.controller.model.manifest import (
    HASH_ANNOTATION,
    TEMPLATE_ANNOTATION,
    Manifest,
    digest,
)
from liveconnect.controller.model.names import CLUSTER_LABEL, POOL_LABEL, Names
from liveconnect.controller.model.observed import Pool
from liveconnect.controller.rendering.inputs import RenderSettings

#: All annotations of a pod together may be 256 KiB: what somebody wrote is not copied whole.
_LONGEST = 256


def labels(
    names: Names, component: str, settings: RenderSettings, pool: Pool | None = None
) -> dict[str, str]:
    """Labels of a child; the version is never part of a selector."""
    extra = {POOL_LABEL: pool.value} if pool else {}
    return {
        **names.selector(component),
        "app.kubernetes.io/part-of": "liveconnect",
        "app.kubernetes.io/managed-by": "liveconnect-operator",
        "app.kubernetes.io/version": settings.operator_version,
        CLUSTER_LABEL: names.cluster,
        **extra,
    }


def stamp(manifest: Manifest, cluster: Cluster, stamped_labels: dict[str, str]) -> Manifest:
    """Add namespace, labels, owner and hash."""
    meta = manifest["metadata"]
    meta["namespace"] = cluster.namespace
    meta["labels"] = stamped_labels
    meta["ownerReferences"] = [
        {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": cluster.name,
            "uid": cluster.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    if cluster.restart and "template" in manifest.get("spec", {}):
        _restart(manifest, cluster.restart)
    annotations = dict(meta.get("annotations") or {})
    meta["annotations"] = {**annotations, HASH_ANNOTATION: digest(manifest)}
    return manifest


def _restart(manifest: Manifest, asked: str) -> None:
    """Make the pod template another one, and say so; a very long value becomes its hash."""
    value = asked if len(asked) <= _LONGEST else digest(asked)
    template = manifest["spec"]["template"]["metadata"]
    template["annotations"] = {**template.get("annotations", {}), RESTART_ANNOTATION: value}
    notes = manifest["metadata"].get("annotations") or {}
    if TEMPLATE_ANNOTATION in notes:
        notes[TEMPLATE_ANNOTATION] = digest(manifest["spec"]["template"])
