"""Whether a child still is what was applied."""

from __future__ import annotations

from typing import Any

from liveconnect.controller.model.manifest import HASH_ANNOTATION, Manifest, ObjectKey
from liveconnect.controller.model.observed import Observed

#: Why a manifest is applied that is not in force yet; the other reasons are about who applied it.
MISSING = "it does not exist"
CHANGED = "the desired state changed"
#: Why a Service is deleted and made again. The old load balancer's controller frees its addresses
#: before the Service is gone; one that only changed hands would leave them behind.
CLASS_CHANGED = (
    "loadBalancerClass cannot change on a load balancer: it is made anew and may get other "
    "addresses"
)


def covers(observed: Any, desired: Any) -> bool:
    """Whether everything desired is in the observed value.

    Objects may have more keys, lists must have as many items.
    """
    if isinstance(desired, dict):
        return isinstance(observed, dict) and all(
            key in observed and covers(observed[key], value) for key, value in desired.items()
        )
    if isinstance(desired, list):
        return (
            isinstance(observed, list)
            and len(observed) == len(desired)
            and all(covers(o, d) for o, d in zip(observed, desired, strict=True))
        )
    return bool(observed == desired)


def why_apply(desired: Manifest, observed: Observed) -> str:
    """Say why a manifest must be applied; empty when it need not be.

    Kinds with a generation are compared by it (the API server normalises their specs, so that they
    never equal the manifest); the others field by field.
    """
    key = ObjectKey.of(desired)
    child = observed.children.get(key)
    if child is None:
        return "" if key in observed.memory.sent else MISSING
    meta, wanted = child["metadata"], desired["metadata"]
    if meta.get("deletionTimestamp"):
        return ""  # it can only be made anew once it is gone; its deletion wakes us
    if (meta.get("annotations") or {}).get(HASH_ANNOTATION) != wanted["annotations"][
        HASH_ANNOTATION
    ]:
        return CHANGED
    if key not in observed.memory.applied:
        return "this operator has not applied it yet"
    if not covers(meta, wanted):
        return "its metadata were edited"
    generation = int(meta.get("generation", 0))
    applied = observed.memory.applied[key]
    edited = generation != applied if generation else is_edited(child, desired)
    return "it was edited" if edited else ""


def why_anew(desired: Manifest, observed: Observed) -> str:
    """Say why a child must go before it can be as desired; empty when it need not.

    A class that nobody asks for may be the doing of the cloud's admission and stays.
    """
    child = observed.children.get(ObjectKey.of(desired))
    if child is None or desired["kind"] != "Service":
        return ""
    old, new = child["spec"], desired["spec"]
    balances = old.get("type") == new.get("type") == "LoadBalancer"
    wanted = new.get("loadBalancerClass")
    changed = balances and wanted and wanted != old.get("loadBalancerClass")
    return CLASS_CHANGED if changed else ""


def is_edited(child: Manifest, desired: Manifest) -> bool:
    """Whether a child without a generation holds something else than was applied."""
    if child["metadata"].get("generation"):
        return False
    wanted = {k: v for k, v in desired.items() if k != "metadata"}
    return not covers({k: v for k, v in child.items() if k != "metadata"}, wanted)
