"""Reading objects without a process for each look: who waits looks often."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from e2e.kit.connection import ApiError, Connection

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
_NOTHING: dict[str, Any] = {"apiVersion": "", "kind": "List", "items": []}


class Reader:
    """Objects by their kind, as kubectl calls it."""

    def __init__(self, connection: Connection) -> None:
        """Read by this connection."""
        self._connection = connection

    def knows(self, kind: str) -> bool:
        """Whether objects of this kind are read here."""
        return kind in _PATHS

    def get(self, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
        """One object, None when there is none.

        Raises:
            ApiError: when the server does not answer or says no.
        """
        return self._read(f"{_PATHS[kind].format(namespace=namespace)}/{name}")

    def items(self, kind: str, namespace: str, selector: str) -> list[dict[str, Any]]:
        """Objects of a kind.

        Raises:
            ApiError: when the server does not answer or says no.
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

    def _read(self, path: str, query: Sequence[tuple[str, str]] = ()) -> dict[str, Any] | None:
        try:
            return self._connection.call("GET", path, query)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
