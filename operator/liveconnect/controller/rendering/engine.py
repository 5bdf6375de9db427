"""Jinja2 whose every `{{ x }}` is a JSON value, and so a valid YAML scalar or map.

Nothing can be injected: a string stays a string whatever it holds. Templates must not glue
(`foo-{{ x }}`); a test forbids it. Text files (`vernemq.conf`) use a second environment that
refuses line breaks in values.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from liveconnect.controller.model.manifest import Manifest, yaml_text

#: libyaml where it is there: parsing is most of the time of a pass.
_LOADER_CLASS = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LOADER = PackageLoader("liveconnect.controller.rendering", "templates")


def _json(value: Any) -> Any:
    if isinstance(value, StrictUndefined):
        return value
    return yaml_text(value)


def _line(value: Any) -> str:
    text = str(value)
    if any(mark in text for mark in "\r\n\x00"):
        raise ValueError(f"a configuration value must be one line: {text!r}")
    return text


_YAML = Environment(
    loader=_LOADER,
    finalize=_json,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,  # noqa: S701 - JSON, not HTML: the finaliser escapes
)
_TEXT = Environment(
    loader=_LOADER,
    finalize=_line,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701 - broker configuration, not HTML
)


def render_manifest(template: str, **view: Any) -> Manifest:
    """Render one `*.yaml.j2` into a manifest."""
    manifest = msgspec.json.decode(_parsed(_YAML.get_template(template).render(view)))
    if not isinstance(manifest, dict):
        raise TypeError(f"{template} is not one object")
    return manifest


@lru_cache(maxsize=1024)
def _parsed(text: str) -> bytes:
    """The same as JSON, which is read a hundred times faster.

    From pass to pass most texts are the same; what is made of them is the caller's to change.
    """
    return msgspec.json.encode(yaml.load(text, _LOADER_CLASS))  # noqa: S506


def render_text(template: str, **view: Any) -> str:
    """Render a text file; values are single lines."""
    return _TEXT.get_template(template).render(view)
