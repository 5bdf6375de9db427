"""Whose fields they are: `metadata.managedFields` of server-side apply (KEP-555). Pure.

An apply removes only what its own manager had applied before. What somebody added to a list by
hand stays beside ours, and may even make the object invalid together with ours. So their fields are
first made ours; the next apply, which does not state them, then removes them. `kubectl` moves
fields from client-side to server-side apply in the same way.
"""

from __future__ import annotations

from typing import Any

from liveconnect.controller.model.manifest import Manifest
from liveconnect.controller.model.names import FIELD_MANAGER

_APPLY = "Apply"


def taken_over(body: Manifest) -> list[dict[str, Any]] | None:
    """The object's `managedFields` with everybody's fields but the status' made ours.

    Returns:
        None when there is nobody else, or when nothing was applied by us yet.
    """
    entries: list[dict[str, Any]] = body["metadata"].get("managedFields") or []
    own = next((e for e in entries if _is_own(e)), None)
    others = [e for e in entries if not _is_own(e) and not e.get("subresource")]
    if own is None or not others:
        return None
    fields = own.get("fieldsV1") or {}
    for other in others:
        fields = _union(fields, other.get("fieldsV1") or {})
    kept = [e for e in entries if e.get("subresource")]
    return [{**own, "fieldsV1": fields}, *kept]


def _is_own(entry: dict[str, Any]) -> bool:
    return bool(entry.get("manager") == FIELD_MANAGER and entry.get("operation") == _APPLY)


def _union(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both trees; leaves are empty maps."""
    return {key: _union(one.get(key, {}), other.get(key, {})) for key in sorted({*one, *other})}
