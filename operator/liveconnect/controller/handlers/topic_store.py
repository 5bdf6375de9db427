"""`LiveConnectTopic` objects and the namespaces' labels as the watches last saw them."""

from __future__ import annotations

from collections.abc import Mapping

from liveconnect.controller.model.manifest import Manifest

Owner = tuple[str, str]
"""Namespace and name of a cluster object."""


class TopicStore:
    """Topic objects by the cluster that they are for; implements `reconciler.TopicObjects`."""

    def __init__(self) -> None:
        self._topics: dict[tuple[str, str], Manifest] = {}
        self._labels: dict[str, Mapping[str, str]] = {}

    def put(self, body: Manifest, *, gone: bool) -> set[Owner]:
        """Take a watch event; the clusters whose rules may change by it."""
        meta = body["metadata"]
        key = (meta["namespace"], meta["name"])
        before = self._topics.pop(key, None)
        if not gone:
            self._topics[key] = body
        if before is not None and not gone and before.get("spec") == body.get("spec"):
            return set()  # our own status writes come back as events, too
        return {_owner(one) for one in (before, body) if one is not None}

    def put_namespace(self, body: Manifest, *, gone: bool) -> bool:
        """Take a watch event of a namespace; whether its labels changed."""
        meta = body["metadata"]
        before = self._labels.pop(meta["name"], {})
        labels: Mapping[str, str] = {} if gone else dict(meta.get("labels") or {})
        if not gone:
            self._labels[meta["name"]] = labels
        return before != labels

    def of(self, namespace: str, cluster: str) -> tuple[Manifest, ...]:
        """The topic objects for one cluster."""
        return tuple(
            body for _, body in sorted(self._topics.items()) if _owner(body) == (namespace, cluster)
        )

    def owners(self) -> set[Owner]:
        """Every cluster that a topic object is for, whether it exists or not."""
        return {_owner(body) for body in self._topics.values()}

    def owners_within(self, namespace: str) -> set[Owner]:
        """Every cluster that a topic object of one namespace is for."""
        return {_owner(b) for key, b in self._topics.items() if key[0] == namespace}

    @property
    def labels(self) -> Mapping[str, Mapping[str, str]]:
        """Labels by namespace."""
        return self._labels


def _owner(body: Manifest) -> Owner:
    reference = (body.get("spec") or {}).get("cluster") or {}
    return reference.get("namespace") or body["metadata"]["namespace"], reference.get("name", "")
