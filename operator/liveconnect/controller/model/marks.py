"""What tells whether a child may have been edited: cheap to compare, without its content."""

from __future__ import annotations

from typing import Any

from liveconnect.controller.model.manifest import Manifest

#: Written by Kubernetes' own controllers, at every roll.
_FOREIGN = "deployment.kubernetes.io/revision"
Mark = tuple[Any, ...]


def mark(child: Manifest) -> Mark:
    """A value that changes whenever somebody changes what we applied.

    Kinds with a generation change it with their spec; their status, which changes all the time, is
    not part of it. The others are compared by their version.
    """
    meta = child["metadata"]
    generation = meta.get("generation")
    if not generation:
        return meta.get("uid"), meta.get("resourceVersion")
    owners = tuple(sorted(str(o.get("uid")) for o in meta.get("ownerReferences") or []))
    notes = {k: v for k, v in (meta.get("annotations") or {}).items() if k != _FOREIGN}
    pairs = (*sorted((meta.get("labels") or {}).items()), *sorted(notes.items()))
    return meta.get("uid"), generation, bool(meta.get("deletionTimestamp")), hash((pairs, owners))
