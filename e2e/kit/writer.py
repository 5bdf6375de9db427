"""Writing objects without a process for each: the request of `kubectl apply --server-side`."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import urllib3
from kubernetes import config

from e2e.kit.reader import Reader

_SECONDS = 60
#: What kubectl sends: our changes win, and unknown fields are refused.
_AS_KUBECTL = [("fieldManager", "kubectl"), ("force", "true"), ("fieldValidation", "Strict")]
_APPLY = "application/apply-patch+yaml"


class WriteError(RuntimeError):
    """The API server did not answer, or does not want the object; the message is its own."""


class Writer:
    """The API server, by the connection of a reader."""

    def __init__(self, reader: Reader) -> None:
        """Point at the reader's cluster, which may not be there yet."""
        self._reader = reader
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
            WriteError: it is refused, or the server does not answer.
        """
        dry = [("dryRun", "All")] if dry_run else []
        return self._call("PATCH", self._path(body, namespace), [*_AS_KUBECTL, *dry], body)

    def _path(self, body: dict[str, Any], namespace: str) -> str:
        version, name = body["apiVersion"], body["metadata"]["name"]
        kind = self._kind(version, body["kind"])
        where = body["metadata"].get("namespace") or namespace
        scope = f"/namespaces/{where}" if kind["namespaced"] else ""
        return f"{_root(version)}{scope}/{kind['name']}/{name}"

    def _kind(self, version: str, kind: str) -> dict[str, Any]:
        """What the server calls a kind, and whether it belongs to namespaces."""
        if (version, kind) not in self._kinds:
            for found in self._call("GET", _root(version))["resources"]:
                if "/" not in found["name"]:
                    self._kinds[version, found["kind"]] = found
        if (version, kind) not in self._kinds:
            raise WriteError(f"the server knows no {kind} of {version}")
        return self._kinds[version, kind]

    def _call(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]] | None = None,
        body: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = _APPLY
        # As text of our own: the client would escape as JSON does, and YAML has no surrogates.
        text = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        try:
            connection = self._reader.connection
            asked = connection.param_serialize(
                method, path, query_params=query, body=text, auth_settings=["BearerToken"],
                header_params=headers,
            )  # fmt: skip
            answer = connection.call_api(*asked, _request_timeout=_SECONDS)
            answer.read()  # type: ignore[no-untyped-call]
        except (OSError, urllib3.exceptions.HTTPError, config.ConfigException) as error:
            raise WriteError(f"{path}: {error}") from error
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise WriteError(_message(answer))
        found: dict[str, Any] = json.loads(answer.data or b"{}")
        return found


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _message(answer: Any) -> str:
    try:
        return str(json.loads(answer.data)["message"])
    except (ValueError, KeyError):
        return f"{answer.status} {answer.data!r}"
