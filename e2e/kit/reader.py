"""Reading objects without a process for each look: who waits looks often."""

from __future__ import annotations

import json
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client, config

_CORE = "/api/v1/namespaces/{namespace}"
_APPS = "/apis/apps/v1/namespaces/{namespace}"
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
_BUDGETS = "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
_POLICIES = "/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
_OURS = "/apis/liveconnect.io/v1alpha1/namespaces/{namespace}/liveconnectclusters"
#: What scenarios wait for, as they call it, and where the API server has it.
_PATHS = {
    **dict.fromkeys(("pod", "pods"), f"{_CORE}/pods"),
    **dict.fromkeys(("service", "services"), f"{_CORE}/services"),
    **dict.fromkeys(("secret", "secrets"), f"{_CORE}/secrets"),
    **dict.fromkeys(("configmap", "configmaps"), f"{_CORE}/configmaps"),
    **dict.fromkeys(("serviceaccount", "serviceaccounts"), f"{_CORE}/serviceaccounts"),
    **dict.fromkeys(("event", "events"), f"{_CORE}/events"),
    **dict.fromkeys(("pvc", "persistentvolumeclaims"), f"{_CORE}/persistentvolumeclaims"),
    **dict.fromkeys(("lease", "leases"), _LEASES),
    **dict.fromkeys(("pdb", "poddisruptionbudgets"), _BUDGETS),
    **dict.fromkeys(("networkpolicy", "networkpolicies"), _POLICIES),
    **dict.fromkeys(("deployment", "deployments"), f"{_APPS}/deployments"),
    **dict.fromkeys(("statefulset", "statefulsets"), f"{_APPS}/statefulsets"),
    **dict.fromkeys(("lcc", "liveconnectclusters.liveconnect.io"), _OURS),
}
_SECONDS = 60
_NOTHING: dict[str, Any] = {"apiVersion": "", "kind": "List", "items": []}


class ReadError(RuntimeError):
    """The API server did not answer, or said no."""


class Reader:
    """The API server, by a kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        """Point at a cluster that may not be there yet."""
        self._kubeconfig = kubeconfig

    def knows(self, kind: str) -> bool:
        """Whether objects of this kind are read here."""
        return kind in _PATHS

    def get(self, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
        """One object, None when there is none.

        Raises:
            ReadError: when the server does not answer or says no.
        """
        return self._read(f"{_PATHS[kind].format(namespace=namespace)}/{name}")

    def items(self, kind: str, namespace: str, selector: str) -> list[dict[str, Any]]:
        """Objects of a kind.

        Raises:
            ReadError: when the server does not answer or says no.
        """
        query = [("labelSelector", selector)] if selector else []
        listed = self._read(_PATHS[kind].format(namespace=namespace), query) or _NOTHING
        return [
            {
                "apiVersion": listed["apiVersion"],
                "kind": listed["kind"].removesuffix("List"),
                **item,
            }
            for item in listed["items"]
        ]

    def _read(self, path: str, query: list[tuple[str, str]] | None = None) -> dict[str, Any] | None:
        try:
            asked = self.connection.param_serialize(
                "GET", path, query_params=query, auth_settings=["BearerToken"],
                header_params={"Accept": "application/json"},
            )  # fmt: skip
            answer = self.connection.call_api(*asked, _request_timeout=_SECONDS)
            answer.read()  # type: ignore[no-untyped-call]
        except (OSError, urllib3.exceptions.HTTPError, config.ConfigException) as error:
            raise ReadError(f"{path}: {error}") from error
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if answer.status != HTTPStatus.OK:
            raise ReadError(f"{path}: {answer.status} {answer.data!r}")
        found: dict[str, Any] = json.loads(answer.data or b"{}")
        return found

    @cached_property
    def connection(self) -> client.ApiClient:
        """Made when it is first asked for."""
        made: client.ApiClient = config.new_client_from_config(  # type: ignore[no-untyped-call]
            str(self._kubeconfig)
        )
        return made
