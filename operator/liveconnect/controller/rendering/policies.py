"""NetworkPolicies: nothing reaches an operand but what must (default deny around each)."""

from __future__ import annotations

from typing import Any

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.manifest import Manifest
from liveconnect.controller.model.names import (
    CLUSTERING_PORT,
    DISTRIBUTION_PORTS,
    EPMD_PORT,
    HTTP_PORT,
    MQTT_PORT,
    OPERATOR_APP,
    PRESENCE_PORT,
    SERVICE_PORT,
    Names,
)
from liveconnect.controller.model.observed import Pool
from liveconnect.controller.rendering.engine import render_manifest

Peer = dict[str, Any]

_ANYWHERE: dict[str, Any] = {"matchLabels": {}}
_OPERATOR: Peer = {
    "namespaceSelector": _ANYWHERE,
    "podSelector": {"matchLabels": {"app.kubernetes.io/name": OPERATOR_APP}},
}
#: Label that a monitoring pod carries to be let in.
_MONITORING: Peer = {
    "namespaceSelector": _ANYWHERE,
    "podSelector": {"matchLabels": {"liveconnect.io/metrics-client": "true"}},
}


def _namespaces(namespaces: set[str]) -> list[Peer]:
    return [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
        for name in sorted(namespaces)
    ]


def _pods(labels: dict[str, str]) -> Peer:
    return {"podSelector": {"matchLabels": labels}}


def _rule(peers: list[Peer] | None, *ports: int | tuple[int, int]) -> dict[str, Any]:
    spans = [p if isinstance(p, tuple) else (p, None) for p in ports]
    return {
        "ports": [{"first": first, "last": last} for first, last in spans],
        "peers": peers,
    }


def policies(cluster: Cluster, names: Names) -> list[tuple[str, Manifest]]:
    """All policies of a cluster, each with the component that it guards."""
    spec = cluster.spec
    brokers = _pods({"app.kubernetes.io/instance": names.cluster, "liveconnect.io/broker": "true"})
    callers = {c.serviceAccount.namespace for c in spec.gateway.callers}
    readers = {r.serviceAccount.namespace for r in spec.presence.readers}
    common = [
        _rule([brokers], EPMD_PORT, CLUSTERING_PORT, DISTRIBUTION_PORTS),
        _rule([_OPERATOR, _MONITORING], HTTP_PORT),
    ]
    backends = [_pods(names.selector("gateway")), *_namespaces(callers)]
    devices = [listener.port for listener in spec.subscribers.listeners]
    guards: list[tuple[str, str, list[dict[str, Any]]]] = [
        ("publisher", names.pool(Pool.PUBLISHER), [*common, _rule(backends, MQTT_PORT)]),
        ("subscriber", names.pool(Pool.SUBSCRIBER), [*common, _rule(None, *devices)]),
        ("auth", names.auth, [
            _rule([brokers, _MONITORING, *_namespaces(readers)], SERVICE_PORT)]),
        ("gateway", names.gateway, [
            _rule([_MONITORING, *_namespaces(callers)], SERVICE_PORT)]),
        ("presence", names.presence, [_rule([_pods(names.selector("auth"))], PRESENCE_PORT)]),
    ]  # fmt: skip
    if spec.presence.store.external is not None:
        guards.pop()
    return [
        (
            component,
            render_manifest(
                "networkpolicy.yaml.j2",
                name=name,
                selector=names.selector(component),
                rules=rules,
            ),
        )
        for component, name, rules in guards
    ]
