"""YAML as people read it."""

from __future__ import annotations

from typing import Any

import yaml


class _Plain(yaml.SafeDumper):
    """No anchors: what is said twice stands there twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - all data alike
        """Whether an object is written out wherever it occurs."""
        return True


def document(content: Any) -> str:
    """One YAML document, fields in the order given, deterministic."""
    text: str = yaml.dump(content, Dumper=_Plain, sort_keys=False, width=100, allow_unicode=True)
    return text
