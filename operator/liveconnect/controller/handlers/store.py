"""The children as the watches last saw them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from liveconnect.controller.model.manifest import Manifest, ObjectKey
from liveconnect.controller.model.names import CLUSTER_LABEL

_Owner = tuple[str, str]


class Store:
    """Children by owner; implements `reconciler.Children`."""

    def __init__(self) -> None:
        self._objects: dict[_Owner, dict[ObjectKey, Manifest]] = defaultdict(dict)

    def put(self, body: Manifest, *, gone: bool) -> _Owner | None:
        """Take a watch event; the owner that it belongs to, if any."""
        meta = body["metadata"]
        name = (meta.get("labels") or {}).get(CLUSTER_LABEL) or _instance(body)
        if not name:
            return None
        owner = (meta["namespace"], name)
        key = ObjectKey.of(body)
        if gone:
            self._objects[owner].pop(key, None)
        else:
            self._objects[owner][key] = body
        return owner

    def _of(self, namespace: str, cluster: str) -> Mapping[ObjectKey, Manifest]:
        return self._objects.get((namespace, cluster), {})

    def objects(self, namespace: str, cluster: str) -> Mapping[ObjectKey, Manifest]:
        """Children that the operator applies."""
        found = self._of(namespace, cluster)
        return {k: v for k, v in found.items() if k.kind not in {"Pod", "PersistentVolumeClaim"}}

    def pods(self, namespace: str, cluster: str) -> tuple[Manifest, ...]:
        """Pods of both pools."""
        return tuple(
            body
            for key, body in sorted(self._of(namespace, cluster).items())
            if key.kind == "Pod" and "liveconnect.io/pool" in (body["metadata"].get("labels") or {})
        )

    def auth_pods(self, namespace: str, cluster: str) -> tuple[Manifest, ...]:
        """Pods of the auth service."""
        return tuple(
            body
            for key, body in sorted(self._of(namespace, cluster).items())
            if key.kind == "Pod"
            and (body["metadata"].get("labels") or {}).get("app.kubernetes.io/component") == "auth"
        )

    def claims(self, namespace: str, cluster: str) -> tuple[Manifest, ...]:
        """Volume claims of both pools."""
        found = self._of(namespace, cluster).items()
        return tuple(body for key, body in found if key.kind == "PersistentVolumeClaim")


def _instance(body: Manifest) -> str | None:
    """Claims carry the StatefulSet's selector only: the cluster is the instance."""
    if body["kind"] != "PersistentVolumeClaim":
        return None
    labels = body["metadata"].get("labels") or {}
    if labels.get("app.kubernetes.io/name") != "liveconnect":
        return None
    instance: str | None = labels.get("app.kubernetes.io/instance")
    return instance
