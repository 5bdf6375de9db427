"""Files of the Helm chart that come from the model of its values."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from hack.values import Values

_BEGIN, _END = "<!-- values: generated -->\n", "<!-- end of values -->\n"


def _fields(model: BaseModel) -> Iterator[tuple[str, str, Any]]:
    """Name, meaning and default of each value that has a default."""
    for attribute, field in type(model).model_fields.items():
        value = getattr(model, attribute)
        if value is not None:
            meaning = " ".join((field.description or "").split())
            yield field.alias or attribute, meaning, value


def _lines(model: BaseModel, indent: str) -> Iterator[str]:
    for name, meaning, value in _fields(model):
        yield from textwrap.wrap(
            f"-- {meaning}", 96, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
        )
        if isinstance(value, BaseModel):
            yield f"{indent}{name}:"
            yield from _lines(value, f"{indent}  ")
        else:
            yield f"{indent}{name}: {_flow(value)}"


def _flow(value: Any) -> str:
    """A default on one line: JSON is YAML."""
    if isinstance(value, str) and value:
        return value if value.isalpha() else json.dumps(value)
    return json.dumps(value)


def values_yaml() -> str:
    """`values.yaml`, every value with what it means."""
    return "# Generated from hack/values.py (make generate).\n" + "".join(
        f"{line}\n" for line in _lines(Values(), "")
    )


def values_schema() -> str:
    """`values.schema.json`: a misspelt value fails at once."""
    schema = _without_titles(Values.model_json_schema(by_alias=True))
    return json.dumps({"$schema": _DRAFT, **schema}, indent=2) + "\n"


_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def _without_titles(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            k: _without_titles(v) for k, v in node.items() if k != "title" or isinstance(v, dict)
        }
    return [_without_titles(item) for item in node] if isinstance(node, list) else node


def _rows(model: BaseModel, path: str) -> Iterator[str]:
    for name, meaning, value in _fields(model):
        if isinstance(value, BaseModel):
            yield from _rows(value, f"{path}{name}.")
        else:
            yield f"| `{path}{name}` | `{json.dumps(value)}` | {meaning} |\n"


def readme(current: str) -> str:
    """The README with a fresh table of values.

    Raises:
        ValueError: the marks between which the table stands are missing.
    """
    before, begin, rest = current.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError("charts/liveconnect-operator/README.md: the marks of the table are gone")
    table = "| value | default | meaning |\n|---|---|---|\n" + "".join(_rows(Values(), ""))
    return f"{before}{begin}\n{table}\n{end}{after}"
