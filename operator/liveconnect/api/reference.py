"""The API reference, generated from the CRD."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_HEAD = """\
# API reference: `liveconnect.io/v1alpha1`

Generated from the models (`make generate`); `kubectl explain liveconnect.spec` says the same.

## Example

```yaml
{example}```

## Fields

| field | type | default | meaning |
|---|---|---|---|
"""


def _kind(schema: dict[str, Any]) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    if "additionalProperties" in schema:
        return f"map to {_kind(schema['additionalProperties'])}"
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    return str(schema.get("type", "any"))


def _default(schema: dict[str, Any], *, required: bool) -> str:
    if required:
        return "**required**"
    value = schema.get("default")
    return f"`{value}`" if value not in (None, {}, []) else ""


def _rows(path: str, schema: dict[str, Any]) -> Iterator[str]:
    required = set(schema.get("required", []))
    for name, child in schema.get("properties", {}).items():
        where = f"{path}.{name}"
        bounds = [
            f"{word} {child[key]}"
            for key, word in (("minimum", "at least"), ("maximum", "at most"))
            if key in child
        ]
        meaning = child.get("description", "") + (f" ({', '.join(bounds)})" if bounds else "")
        default = _default(child, required=name in required)
        yield f"| `{where}` | {_kind(child)} | {default} | {meaning} |"
        inner = child.get("items", child)
        yield from _rows(f"{where}[]" if "items" in child else where, inner)


def reference(crd: dict[str, Any], example: str) -> str:
    """Render the reference as Markdown."""
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    rows = [
        *_rows("spec", schema["properties"]["spec"]),
        *_rows("status", schema["properties"]["status"]),
    ]
    return _HEAD.format(example=example) + "\n".join(rows) + "\n"
