"""The children as the watches last saw them, small: hundreds of clusters have tens of thousands.

A body is kept as JSON without `managedFields`, and parsed when a pass looks at it: an idle pass
looks at few.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from liveconnect.controller.model.manifest import Manifest, ObjectKey
from liveconnect.controller.model.marks import Mark, mark
from liveconnect.controller.model.names import CLUSTER_LABEL
from liveconnect.controller.model.observed import Pool

_Owner = tuple[str, str]
_COMPONENT = "app.kubernetes.io/component"
_DEPENDENTS = {"Pod", "PersistentVolumeClaim"}


@dataclass(frozen=True, slots=True)
class _Kept:
    """A body."""

    content: bytes
    mark: Mark
    component: str
    node: str
    """The Kubernetes node that a pod runs on."""

    def body(self) -> Manifest:
        parsed: Manifest = msgspec.json.decode(self.content)
        return parsed


class _Bodies(Mapping[ObjectKey, Manifest]):
    """Bodies that are parsed when they are looked at, once."""

    def __init__(self, kept: Mapping[ObjectKey, _Kept]) -> None:
        self._kept = kept
        self._parsed: dict[ObjectKey, Manifest] = {}

    def __getitem__(self, key: ObjectKey) -> Manifest:
        if key not in self._parsed:
            self._parsed[key] = self._kept[key].body()
        return self._parsed[key]

    def __iter__(self) -> Iterator[ObjectKey]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: object) -> bool:
        return key in self._kept


class Store:
    """Children by owner; implements `reconciler.Children`."""

    def __init__(self) -> None:
        self._objects: dict[_Owner, dict[ObjectKey, _Kept]] = defaultdict(dict)

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
            if not self._objects[owner]:
                del self._objects[owner]
        else:
            self._objects[owner][key] = _kept(body)
        return owner

    def _of(self, namespace: str, cluster: str) -> Mapping[ObjectKey, _Kept]:
        return self._objects.get((namespace, cluster), {})

    def _applied(self, namespace: str, cluster: str) -> dict[ObjectKey, _Kept]:
        found = self._of(namespace, cluster)
        return {k: v for k, v in found.items() if k.kind not in _DEPENDENTS}

    def objects(self, namespace: str, cluster: str) -> Mapping[ObjectKey, Manifest]:
        """Children that the operator applies."""
        return _Bodies(self._applied(namespace, cluster))

    def marks(self, namespace: str, cluster: str) -> Mapping[ObjectKey, Mark]:
        """What changes when somebody edits one of them."""
        return {key: kept.mark for key, kept in self._applied(namespace, cluster).items()}

    def pods(self, namespace: str, cluster: str) -> tuple[Manifest, ...]:
        """Pods of both pools."""
        return self._pods(namespace, cluster, *Pool)

    def auth_pods(self, namespace: str, cluster: str) -> tuple[Manifest, ...]:
        """Pods of the auth service."""
        return self._pods(namespace, cluster, "auth")

    def service_pods(self, namespace: str, cluster: str) -> tuple[Manifest, ...]:
        """Pods of the other operands."""
        return self._pods(namespace, cluster, "auth", "gateway", "presence")

    def _pods(self, namespace: str, cluster: str, *components: str) -> tuple[Manifest, ...]:
        found = self._of(namespace, cluster)
        names = sorted(key for key in found if key.kind == "Pod")
        return tuple(found[key].body() for key in names if found[key].component in components)

    def owners_on(self, node: str) -> set[_Owner]:
        """The clusters with a broker pod on a Kubernetes node."""
        return {
            owner
            for owner, found in self._objects.items()
            if any(kept.node == node and kept.component in set(Pool) for kept in found.values())
        }

    def claims(self, namespace: str, cluster: str) -> tuple[Manifest, ...]:
        """Volume claims of all operands."""
        found = self._of(namespace, cluster).items()
        return tuple(kept.body() for key, kept in found if key.kind == "PersistentVolumeClaim")


def _kept(body: Manifest) -> _Kept:
    meta = {k: v for k, v in body["metadata"].items() if k != "managedFields"}
    return _Kept(
        content=msgspec.json.encode({**body, "metadata": meta}),
        mark=mark(body),
        component=(meta.get("labels") or {}).get(_COMPONENT, ""),
        node=(body.get("spec") or {}).get("nodeName", "") if body["kind"] == "Pod" else "",
    )


def _instance(body: Manifest) -> str | None:
    """Claims carry the StatefulSet's selector only: the cluster is the instance."""
    if body["kind"] != "PersistentVolumeClaim":
        return None
    labels = body["metadata"].get("labels") or {}
    if labels.get("app.kubernetes.io/name") != "liveconnect":
        return None
    instance: str | None = labels.get("app.kubernetes.io/instance")
    return instance
