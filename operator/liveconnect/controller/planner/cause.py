"""Which fields made a template change: what a restart is for, in words."""

from __future__ import annotations

from typing import Any

from liveconnect.api.v1alpha1.cluster import RESTART_ANNOTATION
from liveconnect.controller.model.manifest import Manifest

_CONFIG = "vernemq.conf"
_MOST = 6
#: Annotations that follow from the fields, and the one that somebody asks for a restart with.
_OURS = "metadata.annotations.liveconnect.io/"
_ASKED = f"metadata.annotations.{RESTART_ANNOTATION}"


def causes(old: Manifest, new: Manifest, old_config: Manifest, new_config: Manifest) -> list[str]:
    """Fields of a StatefulSet's pod template that changed, and keys of `vernemq.conf`.

    Args:
        old: The StatefulSet as the API server has it, defaults filled in.
        new: The manifest that is applied.
        old_config: The pool's ConfigMap as it is.
        new_config: The pool's ConfigMap as it is applied.
    """
    template = _changes(old.get("spec", {}).get("template", {}), new["spec"]["template"], "")
    fields = [c for c in template if not c.startswith(_OURS) or c.startswith(_ASKED)]
    keys = _config_changes(old_config, new_config)
    found = [*keys, *fields]
    if not found:
        return ["the pod template"]
    more = [f"and {len(found) - _MOST} more"] if len(found) > _MOST else []
    return found[:_MOST] + more


def _changes(old: Any, new: Any, path: str) -> list[str]:
    """Paths of the new value whose old value differs; what only the old one has is a default."""
    if isinstance(new, dict) and isinstance(old, dict):
        return [
            change
            for key, value in new.items()
            for change in _changes(old.get(key), value, f"{path}.{key}" if path else key)
        ]
    if isinstance(new, list) and isinstance(old, list) and _named(new) and _named(old):
        before = {item["name"]: item for item in old}
        return [
            change
            for item in new
            for change in _changes(before.get(item["name"]), item, f"{path}[{item['name']}]")
        ] + [f"{path}[{name}]: removed" for name in before.keys() - {i["name"] for i in new}]
    if old == new:
        return []
    if isinstance(new, str | int | bool) and isinstance(old, str | int | bool):
        return [f"{path.removeprefix('spec.')}: {old} → {new}"[:160]]
    return [path.removeprefix("spec.")]


def _named(items: list[Any]) -> bool:
    return all(isinstance(i, dict) and "name" in i for i in items)


def _config_changes(old: Manifest, new: Manifest) -> list[str]:
    before, after = _options(old), _options(new)
    return [
        f"{_CONFIG}: {key}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _options(config: Manifest) -> dict[str, str]:
    text = str((config.get("data") or {}).get(_CONFIG, ""))
    lines = (line for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in (li.partition("=") for li in lines)}
