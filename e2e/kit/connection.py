"""Requests to the API server without a process for each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client, config

_SECONDS = 60


class ApiError(RuntimeError):
    """The API server said no, with this status and in its own words; 0 when it did not answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Connection:
    """The API server, by a kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        """Point at a cluster that may not be there yet."""
        self._kubeconfig = kubeconfig

    def call(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        """What it answers.

        Args:
            method: Of HTTP.
            path: From the root.
            query: Names and values.
            body: Sent as it is.
            content_type: Of the body.

        Raises:
            ApiError: it does not answer or says no.
        """
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            asked = self._client.param_serialize(
                method, path, query_params=list(query), header_params=headers, body=body,
                auth_settings=["BearerToken"],
            )  # fmt: skip
            answer = self._client.call_api(*asked, _request_timeout=_SECONDS)
            answer.read()  # type: ignore[no-untyped-call]
        except (OSError, urllib3.exceptions.HTTPError, config.ConfigException) as error:
            raise ApiError(0, f"{path}: {error}") from error
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise ApiError(answer.status, _message(answer.status, answer.data))
        found: dict[str, Any] = json.loads(answer.data or b"{}")
        return found

    @cached_property
    def _client(self) -> client.ApiClient:
        made: client.ApiClient = config.new_client_from_config(  # type: ignore[no-untyped-call]
            str(self._kubeconfig)
        )
        return made


def _message(status: int, content: bytes | None) -> str:
    try:
        return str(json.loads(content or b"")["message"])
    except (ValueError, KeyError):
        return f"{status} {content!r}"
