"""The API reference, generated from the CRD."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_HEAD = """\
# API reference: `{api_version}`

Generated from the models (`make generate`). `kubectl explain {explained}.spec` says the same.

- Kind `{kind}`, {scope}; `kubectl get {plural}`, for short {short}; also in {categories}.
- Columns: {columns}. With `-o wide` also {wide}.
{scale}
## Example

```yaml
{example}```
"""
_TABLE = "| field | type | default | meaning |\n|---|---|---|---|"
_BOUNDS = (
    ("minimum", "at least {}"),
    ("maximum", "at most {}"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
    ("minProperties", "at least {} keys"),
    ("maxProperties", "at most {} keys"),
    ("maxLength", "at most {} characters"),
)


def _kind(schema: Schema) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    if "additionalProperties" in schema:
        return f"map to {_kind(schema['additionalProperties'])}"
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    return str(schema.get("type", "any"))


def _default(schema: Schema, *, required: bool) -> str:
    if required:
        return "**required**"
    value = schema.get("default")
    if value in (None, "", {}, []) or schema.get("type") == "object":
        return ""
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def _meaning(schema: Schema) -> str:
    bounds = [text.format(schema[key]) for key, text in _BOUNDS if key in schema]
    text = str(schema.get("description", "")) + (f" ({', '.join(bounds)})" if bounds else "")
    return text.replace("|", "\\|")


def _rows(path: str, schema: Schema) -> Iterator[str]:
    required = set(schema.get("required", []))
    for name, child in schema.get("properties", {}).items():
        where = f"{path}.{name}"
        default = _default(child, required=name in required)
        yield f"| `{where}` | {_kind(child)} | {default} | {_meaning(child)} |"
        inner = child.get("items", child)
        yield from _rows(f"{where}[]" if "items" in child else where, inner)


def _sections(root: str, schema: Schema) -> Iterator[str]:
    """A table for each part of the spec."""
    required = set(schema.get("required", []))
    for name, child in schema["properties"].items():
        path = f"{root}.{name}"
        mark = " Required." if name in required else ""
        yield f"\n## `{path}`\n\n{_meaning(child)}{mark}\n\n{_TABLE}"
        yield from _rows(f"{path}[]" if "items" in child else path, child.get("items", child))


def _rules(path: str, schema: Schema) -> Iterator[str]:
    """What the API server checks across fields, in its own words."""
    for rule in schema.get("x-kubernetes-validations", []):
        yield f"- `{path}{rule.get('fieldPath', '')}`: {rule['message']}."
    for name, child in schema.get("properties", {}).items():
        yield from _rules(f"{path}.{name}" if path else name, child)
    if "items" in schema:
        yield from _rules(f"{path}[]", schema["items"])


def _scale(version: Schema) -> str:
    scale = version["subresources"].get("scale")
    if scale is None:
        return ""
    path = scale["specReplicasPath"].removeprefix(".")
    return f"- `kubectl scale` and a HorizontalPodAutoscaler set `{path}`.\n"


def _head(crd: Schema, example: str) -> str:
    spec = crd["spec"]
    names, version = spec["names"], spec["versions"][0]
    columns = version["additionalPrinterColumns"]
    return _HEAD.format(
        api_version=f"{spec['group']}/{version['name']}",
        kind=names["kind"],
        plural=names["plural"],
        scope=spec["scope"].lower(),
        short=" or ".join(f"`{name}`" for name in names["shortNames"]),
        categories=" and ".join(f"`kubectl get {name}`" for name in names["categories"]),
        columns=", ".join(c["name"] for c in columns if not c.get("priority")),
        wide=", ".join(c["name"] for c in columns if c.get("priority")),
        explained=names["shortNames"][0],
        scale=_scale(version),
        example=example,
    )


def reference(crd: Schema, example: str) -> str:
    """Render the reference as Markdown.

    Args:
        crd: the CustomResourceDefinition.
        example: an object as YAML.
    """
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    fields = schema["properties"]
    parts = [
        _head(crd, example),
        *_sections("spec", fields["spec"]),
        "\n## What the API server refuses\n",
        "Beside wrong types, unknown fields and what the tables bound:\n",
        *_rules("", {"properties": {"spec": fields["spec"]}}),
        f"\n## `status`\n\nWritten by the operator alone.\n\n{_TABLE}",
        *_rows("status", fields["status"]),
    ]
    return "\n".join(parts).replace("\n\n\n", "\n\n") + "\n"
