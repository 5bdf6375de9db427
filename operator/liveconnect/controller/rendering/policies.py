"""NetworkPolicies: nothing reaches an operand but what must (default deny around each).

Brokers and the managed store, which hold the messages, also reach nothing but what they must. The
auth service and the gateway are not fenced in: issuers and the API server are at addresses that
no policy can name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.manifest import Manifest
from liveconnect.controller.model.names import (
    CANARY_PORT,
    CLUSTERING_PORT,
    DISTRIBUTION_PORTS,
    EPMD_PORT,
    HOOKS_PORT,
    HOOKS_TLS_PORT,
    HTTP_PORT,
    HTTPS_PORT,
    MQTT_PORT,
    MQTTS_PORT,
    OPERATOR_APP,
    PRESENCE_PORT,
    PRESENCE_TLS_PORT,
    SERVICE_PORT,
    Names,
)
from liveconnect.controller.model.observed import Pool
from liveconnect.controller.model.tls import TlsWays, store_has_tls
from liveconnect.controller.rendering.engine import render_manifest

Peer = dict[str, Any]


@dataclass(frozen=True)
class Rule:
    """Who may use which ports."""

    peers: list[Peer] | None
    """Everybody when None; nobody when empty, which Kubernetes cannot say within a rule."""
    ports: list[dict[str, Any]]

    def towards(self, direction: str) -> dict[str, Any]:
        """As a policy has it, `from` or `to` the peers."""
        peers = {direction: self.peers} if self.peers is not None else {}
        return {"ports": self.ports, **peers}


@dataclass(frozen=True)
class Guard:
    """One policy."""

    component: str
    """Whose pods it guards."""
    name: str
    ingress: list[Rule]
    egress: list[Rule] | None
    """None: they may reach anything."""


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


def _rule(peers: list[Peer] | None, *ports: int | tuple[int, int], protocol: str = "TCP") -> Rule:
    """Peers (everybody when None, nobody when empty) and their ports or spans of ports."""
    spans = [
        {"port": p[0], "endPort": p[1]} if isinstance(p, tuple) else {"port": p} for p in ports
    ]
    return Rule(peers, [{**span, "protocol": protocol} for span in spans])


def policies(
    cluster: Cluster, names: Names, api: TlsWays, store: TlsWays
) -> list[tuple[str, Manifest]]:
    """All policies of a cluster, each with the component that it guards.

    Args:
        cluster: The object.
        names: Of its children.
        api: How the gateway asks the auth service.
        store: How the auth service asks the managed store.
    """
    guards = [*_broker_guards(cluster, names), *_service_guards(cluster, names, api)]
    if cluster.spec.presence.store.external is None:
        plain = [PRESENCE_PORT] if store.plain else []
        ports = [*plain, *([PRESENCE_TLS_PORT] if store_has_tls(cluster) else [])]
        rules = [_rule([_pods(names.selector("auth"))], *ports)]
        guards.append(Guard("presence", names.presence, rules, []))
    return [(guard.component, _policy(guard, names)) for guard in guards]


def _policy(guard: Guard, names: Names) -> Manifest:
    return render_manifest(
        "networkpolicy.yaml.j2",
        name=guard.name,
        selector=names.selector(guard.component),
        ingress=[rule.towards("from") for rule in guard.ingress if rule.peers != []],
        egress=None if guard.egress is None else [rule.towards("to") for rule in guard.egress],
    )


#: Wherever it may be: pods, the node's own cache, a server outside.
_DNS = [_rule(None, 53, protocol=name) for name in ("UDP", "TCP")]


def _brokers(names: Names) -> Peer:
    return _pods({"app.kubernetes.io/instance": names.cluster, "liveconnect.io/broker": "true"})


def _broker_guards(cluster: Cluster, names: Names) -> list[Guard]:
    """Both pools: members talk to each other; operator, monitors and auth service ask."""
    spec = cluster.spec
    between = _rule([_brokers(names)], EPMD_PORT, CLUSTERING_PORT, DISTRIBUTION_PORTS)
    asking = [_OPERATOR, _MONITORING, _pods(names.selector("auth"))]
    common = [between, _rule(asking, HTTP_PORT), _rule([_OPERATOR], CANARY_PORT)]
    egress = [*_DNS, between, _rule([_pods(names.selector("auth"))], *_hooks_ports(cluster))]
    allowed = spec.publishers.allowedNamespaces
    if allowed is None:
        allowed = [c.serviceAccount.namespace for c in spec.gateway.callers]
    backends = [_pods(names.selector("gateway")), *_namespaces(set(allowed))]
    devices = [listener.port for listener in spec.subscribers.listeners]
    publisher, subscriber = names.pool(Pool.PUBLISHER), names.pool(Pool.SUBSCRIBER)
    return [
        Guard("publisher", publisher, [*common, *_publishing(cluster, backends)], egress),
        Guard("subscriber", subscriber, [*common, _rule(None, *devices)], egress),
    ]


def _publishing(cluster: Cluster, backends: list[Peer]) -> list[Rule]:
    """Backends; and the operator, which looks at the certificate."""
    if cluster.spec.publishers.tls is None:
        return [_rule(backends, MQTT_PORT)]
    return [_rule([*backends, _OPERATOR], MQTTS_PORT)]


def _hooks_ports(cluster: Cluster) -> tuple[int, ...]:
    """The plain port stays beside that with TLS: nodes change over one by one."""
    return (HOOKS_PORT, *([HOOKS_TLS_PORT] if cluster.spec.auth.tls else []))


def _service_guards(cluster: Cluster, names: Names, api: TlsWays) -> list[Guard]:
    """The auth service and the gateway."""
    callers = {c.serviceAccount.namespace for c in cluster.spec.gateway.callers}
    readers = {r.serviceAccount.namespace for r in cluster.spec.presence.readers}
    hooks = _rule([_brokers(names)], *_hooks_ports(cluster))
    revokers = {r.serviceAccount.namespace for r in cluster.spec.auth.revokers}
    asking = [_pods(names.selector("gateway")), *_namespaces(readers | revokers)]
    reading = _by_https(asking, https=cluster.spec.auth.tls is not None, plain=api.plain)
    posting = [_pods(names.selector("gateway")), *_namespaces(callers)]
    # It asks each pod which rules it applies, also where the API is left with HTTPS.
    rules = _rule([_OPERATOR], SERVICE_PORT)
    return [
        Guard("auth", names.auth, [hooks, rules, *reading], None),
        Guard("gateway", names.gateway, _posting(cluster, posting), None),
    ]


def _posting(cluster: Cluster, callers: list[Peer]) -> list[Rule]:
    """With HTTPS the plain port is left with what monitors read."""
    https = cluster.spec.gateway.tls is not None
    return _by_https(callers, https=https, plain=not https)


def _by_https(callers: list[Peer], *, https: bool, plain: bool) -> list[Rule]:
    """Callers of an API, by HTTPS or without TLS or both; the plain port is the monitors', too."""
    monitors = [callers[0], _MONITORING, *callers[1:]] if plain else [_MONITORING]
    return [*([_rule(callers, HTTPS_PORT)] if https else []), _rule(monitors, SERVICE_PORT)]
