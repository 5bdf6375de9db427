"""The Kubernetes API: server-side apply, delete, read, status, events."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from kubernetes.aio import client, config

from liveconnect.api.v1alpha1 import GROUP, KIND, PLURAL, TOPIC_KIND, TOPIC_PLURAL, VERSION
from liveconnect.controller.model.manifest import Manifest, ObjectKey, yaml_text
from liveconnect.controller.model.names import FIELD_MANAGER
from liveconnect.controller.model.ownership import taken_over

#: Plural of every kind that the operator touches.
PLURALS = {
    "ServiceAccount": "serviceaccounts",
    "Secret": "secrets",
    "ConfigMap": "configmaps",
    "Service": "services",
    "NetworkPolicy": "networkpolicies",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "StatefulSet": "statefulsets",
    "Deployment": "deployments",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Pod": "pods",
    "Event": "events",
    "Lease": "leases",
    "StorageClass": "storageclasses",
    KIND: PLURAL,
    TOPIC_KIND: TOPIC_PLURAL,
}
_APPLY = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
#: With the parameter, the client sends our text as it is: its own JSON would not be YAML.
_APPLY_PATCH = "application/apply-patch+yaml; charset=utf-8"
_TIMEOUT_SECONDS = 15.0
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_REFUSALS = {400, 403, 422}
_LONGEST_MESSAGE = 500


class KubeError(Exception):
    """The API server refused or could not be reached; says what and why."""

    def __init__(self, what: str, status: int, reason: str) -> None:
        super().__init__(f"{what}: {reason}")
        self.status = status

    @property
    def refused(self) -> bool:
        """Whether the API server does not want the object as it is.

        Unknown fields, invalid or forbidden values; what is of another shape is an internal error
        to server-side apply (500).
        """
        return self.status in _REFUSALS or "failed to create typed patch object" in str(self)

    def about(self, field: str) -> KubeError:
        """The same, saying which field of the object it comes from."""
        return KubeError(field, self.status, f"Kubernetes refuses it ({self}); correct it")


class Kube:
    """One client for one API server."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api

    @classmethod
    async def connect(cls) -> Kube:
        """Connect in-cluster, else by the kubeconfig.

        Raises:
            kubernetes.aio.config.ConfigException: when there is neither.
        """
        try:
            config.load_incluster_config()  # type: ignore[no-untyped-call] # untyped there
        except config.ConfigException:
            await config.load_kube_config()  # type: ignore[no-untyped-call] # untyped there
        settings = client.Configuration.get_default_copy()
        # Else every request looks for a .netrc file, on another thread; a proxy of the kubeconfig
        # is heeded all the same.
        settings.client_session_kwargs = {"trust_env": False}
        return cls(client.ApiClient(settings))

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()  # type: ignore[no-untyped-call] # untyped there

    async def is_served(self) -> bool:
        """Whether the API server serves our kind already: a fresh CRD takes a moment.

        Raises:
            KubeError: when the API server cannot be asked.
        """
        try:
            found = await self._call("GET", f"/apis/{GROUP}/{VERSION}", what=f"look for {PLURAL}")
        except KubeError as error:
            if error.status == 404:
                return False
            raise
        return any(kind["name"] == PLURAL for kind in found.get("resources") or [])

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply; the field manager takes what it states.

        Raises:
            KubeError: when the API server refuses.
        """
        return await self._call(
            "PATCH",
            path(ObjectKey.of(manifest)),
            what=f"apply {ObjectKey.of(manifest)}",
            query=_APPLY,
            body=yaml_text(manifest),
            content_type=_APPLY_PATCH,
        )

    async def take_over(self, key: ObjectKey) -> bool:
        """Make other managers' fields of an object ours, so that the next apply removes them.

        Returns:
            Whether there were any.

        Raises:
            KubeError: when the API server refuses; 409 when somebody was faster.
        """
        body = await self.get(key)
        fields = taken_over(body) if body else None
        if body is None or fields is None:
            return False
        version = body["metadata"]["resourceVersion"]
        await self._call(
            "PATCH",
            path(key),
            what=f"take over {key}",
            query={"fieldManager": FIELD_MANAGER},
            body={"metadata": {"managedFields": fields, "resourceVersion": version}},
            content_type="application/merge-patch+json",
        )
        return True

    async def patch(self, key: ObjectKey, uid: str, body: Manifest) -> None:
        """Merge into the object with this uid; one that is gone already is fine.

        Raises:
            KubeError: when the API server refuses.
        """
        meta = {**body.get("metadata", {}), "uid": uid}
        try:
            await self._call(
                "PATCH",
                path(key),
                what=f"change {key}",
                query={"fieldManager": FIELD_MANAGER},
                body={**body, "metadata": meta},
                content_type="application/merge-patch+json",
            )
        except KubeError as error:
            if error.status not in {404, 409}:
                raise

    async def delete(self, key: ObjectKey, uid: str, *, orphan: bool = False) -> None:
        """Delete the object with this uid; one that is gone already is fine.

        Args:
            key: Which object.
            uid: The one that is meant.
            orphan: Whether what it owns stays.
        """
        body: Manifest = {"preconditions": {"uid": uid}} if uid else {}
        if orphan:
            body["propagationPolicy"] = "Orphan"
        try:
            await self._call("DELETE", path(key), what=f"delete {key}", body=body)
        except KubeError as error:
            if error.status not in {404, 409}:
                raise

    async def get(self, key: ObjectKey) -> Manifest | None:
        """Read one object; None when there is none."""
        try:
            return await self._call("GET", path(key), what=f"read {key}")
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    async def get_metadata(self, key: ObjectKey) -> Manifest | None:
        """Read an object's metadata, from the API server's cache; None when there is no object."""
        query = {"resourceVersion": "0"}
        try:
            return await self._call(
                "GET", path(key), what=f"read {key}", query=query, accept=_METADATA
            )
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    async def create(self, key: ObjectKey, body: Manifest) -> Manifest:
        """Make an object.

        Raises:
            KubeError: 409 when there is one already, or the API server refuses.
        """
        collection = path(key).rpartition("/")[0]
        return await self._call("POST", collection, what=f"create {key}", body=body)

    async def replace(self, key: ObjectKey, body: Manifest) -> Manifest:
        """Write a whole object over the one with the same `resourceVersion`.

        Raises:
            KubeError: 409 when somebody was faster, or the API server refuses.
        """
        return await self._call("PUT", path(key), what=f"replace {key}", body=body)

    async def last_warning(self, key: ObjectKey, reason: str) -> str:
        """The newest event of this reason about an object; empty when there is none.

        Raises:
            KubeError: when the API server does not answer; that events may not be read is fine.
        """
        about = {"kind": key.kind, "name": key.name}
        fields = [f"involvedObject.{field}={value}" for field, value in about.items()]
        events = ObjectKey("v1", "Event", key.namespace, "")
        try:
            found = await self._call(
                "GET",
                path(events).rstrip("/"),
                what=f"read the events of {key}",
                query={"fieldSelector": ",".join([*fields, f"reason={reason}"])},
            )
        except KubeError as error:
            if error.status == 403:
                return ""
            raise
        newest = max(found.get("items") or [{}], key=_event_time)
        return str(newest.get("message", ""))[:_LONGEST_MESSAGE]

    async def patch_status(self, key: ObjectKey, status: Manifest) -> None:
        """Merge into the object's status; an object that is gone is fine."""
        try:
            await self._call(
                "PATCH",
                f"{path(key)}/status",
                what=f"write the status of {key}",
                query={"fieldManager": FIELD_MANAGER},
                body={"status": status},
                content_type="application/merge-patch+json",
            )
        except KubeError as error:
            if error.status != 404:
                raise

    async def _call(  # noqa: PLR0913 - an HTTP request, taken apart
        self,
        method: str,
        url: str,
        *,
        what: str,
        query: dict[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Manifest:
        headers = {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = content_type
        # Without the body: it is JSON already, and walking through it costs more than the rest.
        method, url, headers, *_ = await self._api.param_serialize(
            method,
            url,
            query_params=list((query or {}).items()),
            header_params=headers,
            auth_settings=["BearerToken"],
        )
        try:
            response = await self._api.call_api(
                method, url, headers, body, _request_timeout=_TIMEOUT_SECONDS
            )
            raw = await response.read()  # type: ignore[no-untyped-call] # untyped there
        except (OSError, TimeoutError) as error:
            raise KubeError(what, 0, f"the API server does not answer ({error})") from error
        if response.status >= 400:
            raise KubeError(what, response.status, _message(raw))
        parsed: Manifest = msgspec.json.decode(raw)
        return parsed


def path(key: ObjectKey) -> str:
    """The URL path of an object."""
    root = f"/apis/{key.api_version}" if "/" in key.api_version else f"/api/{key.api_version}"
    scope = f"/namespaces/{key.namespace}" if key.namespace else ""
    return f"{root}{scope}/{PLURALS[key.kind]}/{key.name}"


def _event_time(event: Manifest) -> str:
    """When it happened last; the API server's own format sorts as text."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return max(time or "" for time in times)


def _message(raw: bytes) -> str:
    try:
        return str(json.loads(raw).get("message", raw[:300].decode(errors="replace")))
    except ValueError:
        return raw[:300].decode(errors="replace")
