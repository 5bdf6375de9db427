"""Writing objects without a process for each: the request of `kubectl apply --server-side`."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from e2e.kit.connection import ApiError, Connection

#: What kubectl sends: our changes win, and unknown fields are refused.
_AS_KUBECTL = [("fieldManager", "kubectl"), ("force", "true"), ("fieldValidation", "Strict")]
_APPLY = "application/apply-patch+yaml"


class Writer:
    """Objects of any kind that the server knows."""

    def __init__(self, connection: Connection) -> None:
        """Write by this connection."""
        self._connection = connection
        self._kinds: dict[tuple[str, str], dict[str, Any]] = {}

    def apply(
        self, body: dict[str, Any], namespace: str, *, dry_run: bool = False
    ) -> dict[str, Any]:
        """Server-side apply, as a person would; the object as the server has it then.

        Args:
            body: The object; its own namespace goes before the other.
            namespace: Where it belongs when it does not say, if its kind belongs to one at all.
            dry_run: Whether the server only checks it.

        Raises:
            ApiError: it is refused, or the server does not answer.
        """
        query = [*_AS_KUBECTL, ("dryRun", "All")] if dry_run else _AS_KUBECTL
        # JSON would escape as it does by default, and YAML knows no surrogates.
        text = json.dumps(body, ensure_ascii=False).encode()
        path = self._path(body, namespace)
        return self._connection.call("PATCH", path, query, body=text, content_type=_APPLY)

    def _path(self, body: dict[str, Any], namespace: str) -> str:
        version, name = body["apiVersion"], body["metadata"]["name"]
        kind = self._kind(version, body["kind"])
        where = body["metadata"].get("namespace") or namespace
        scope = f"/namespaces/{where}" if kind["namespaced"] else ""
        return f"{_root(version)}{scope}/{kind['name']}/{name}"

    def _kind(self, version: str, kind: str) -> dict[str, Any]:
        """What the server calls a kind, and whether it belongs to namespaces."""
        if (version, kind) not in self._kinds:
            for found in self._connection.call("GET", _root(version))["resources"]:
                if "/" not in found["name"]:
                    self._kinds[version, found["kind"]] = found
        if (version, kind) not in self._kinds:
            raise ApiError(HTTPStatus.NOT_FOUND, f"the server knows no {kind} of {version}")
        return self._kinds[version, kind]


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"
