"""Manifests: plain JSON objects, and the key that names one."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

Manifest = dict[str, Any]

#: Hash of the manifest as it was applied; another hash means that the desired state changed.
HASH_ANNOTATION = "liveconnect.io/manifest-hash"
#: Hash of a StatefulSet's pod template as it was applied; another hash restarts the pods.
TEMPLATE_ANNOTATION = "liveconnect.io/template-hash"
#: Which cookie a broker pod was made with: a digest, so that one that has another can be told.
COOKIE_ANNOTATION = "liveconnect.io/cookie"
#: On the brokers' Secret: the rotations that were begun last, as the object asked for them.
API_KEY_ROTATION_ANNOTATION = "liveconnect.io/api-key-rotation"
COOKIE_ROTATION_ANNOTATION = "liveconnect.io/cookie-rotation"


@dataclass(frozen=True, order=True)
class ObjectKey:
    """Which object: kind and name within a namespace."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, manifest: Manifest) -> ObjectKey:
        """The key of a manifest."""
        meta = manifest["metadata"]
        return cls(
            manifest["apiVersion"], manifest["kind"], meta.get("namespace", ""), meta["name"]
        )

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


def is_seen(child: Manifest) -> bool:
    """Whether a child's controller has looked at its newest generation."""
    seen = int((child.get("status") or {}).get("observedGeneration", 0))
    return seen >= int(child.get("metadata", {}).get("generation", 0))


def digest(value: Any) -> str:
    """Sixteen hex digits that change when the JSON value does."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


#: A surrogate pair in JSON, not one whose backslash is itself escaped.
_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})")


def yaml_text(value: Any) -> str:
    r"""JSON that YAML reads as the very same value.

    JSON writes characters beyond the basic plane as two surrogates, YAML as one `\U` escape.
    """
    text = json.dumps(value)
    return _PAIR.sub(_one_escape, text) if r"\ud" in text else text


def _one_escape(pair: re.Match[str]) -> str:
    high, low = int(pair[2], 16), int(pair[3], 16)
    return f"{pair[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"
