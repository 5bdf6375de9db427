"""Who reaches what: the rendered NetworkPolicies, read as a network plug-in reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from hack.golden import rendered
from liveconnect.api.v1alpha1 import Cluster

ACCOUNT = {"namespace": "shop", "name": "orders"}
SPEC: dict[str, Any] = {
    "broker": {"image": "b:1"},
    "subscribers": {
        "listeners": [
            {"name": "mqtt", "port": 1883},
            {"name": "ws", "port": 8083, "protocol": "WS", "servicePort": 80},
        ]
    },
    "auth": {"tokens": [{"jwt": {"issuer": "i", "audiences": ["a"], "jwksURI": "https://i/jwks"}}]},
    "gateway": {"callers": [{"serviceAccount": ACCOUNT, "publish": ["orders/#"]}]},
    "presence": {
        "readers": [{"serviceAccount": {"namespace": "crm", "name": "desk"}}],
    },
}


@dataclass(frozen=True)
class Pod:
    """One end of a connection."""

    namespace: str
    labels: tuple[tuple[str, str], ...] = ()


class Network:
    """The policies of one cluster object, and the pods of its operands."""

    def __init__(self, spec: dict[str, Any]) -> None:
        meta = {"name": "demo", "namespace": "ns", "uid": "u", "generation": 1}
        manifests = rendered(Cluster.parse({"metadata": meta, "spec": spec}))
        self.policies = [m["spec"] for m in manifests if m["kind"] == "NetworkPolicy"]
        self.pods = {
            m["metadata"]["name"].removeprefix("demo-"): Pod(
                "ns", tuple(m["spec"]["template"]["metadata"]["labels"].items())
            )
            for m in manifests
            if m["kind"] in {"StatefulSet", "Deployment"}
        }
        self.pods |= {
            "stranger": Pod("ns"),
            "device": Pod("internet"),
            "operator": Pod("system", (("app.kubernetes.io/name", "liveconnect-operator"),)),
            "monitor": Pod("watch", (("liveconnect.io/metrics-client", "true"),)),
            "shop": Pod("shop"),
            "crm": Pod("crm"),
            "tools": Pod("tools"),
        }

    def reaches(self, source: str, target: str, port: int) -> bool:
        """Whether a connection is let out and in."""
        one, other = self.pods[source], self.pods[target]
        return self._lets(one, other, port, "Egress") and self._lets(other, one, port, "Ingress")

    def _lets(self, pod: Pod, peer: Pod, port: int, kind: str) -> bool:
        guards = [
            p
            for p in self.policies
            if kind in p["policyTypes"] and pod.namespace == "ns" and _has(pod, p["podSelector"])
        ]
        way, side = ("ingress", "from") if kind == "Ingress" else ("egress", "to")
        rules = [rule for policy in guards for rule in policy[way]]
        return not guards or any(
            any(_spans(span, port) for span in rule["ports"])
            and (side not in rule or any(_is(peer, one) for one in rule[side]))
            for rule in rules
        )


def _spans(span: dict[str, Any], port: int) -> bool:
    return span["protocol"] == "TCP" and bool(
        span["port"] <= port <= span.get("endPort", span["port"])
    )


def _has(pod: Pod, selector: dict[str, Any]) -> bool:
    return set(selector["matchLabels"].items()) <= set(pod.labels)


def _is(pod: Pod, peer: dict[str, Any]) -> bool:
    spaces = peer.get("namespaceSelector")
    if spaces is None and pod.namespace != "ns":
        return False
    name = (spaces or {}).get("matchLabels", {}).get("kubernetes.io/metadata.name")
    in_namespace = name is None or name == pod.namespace
    return in_namespace and ("podSelector" not in peer or _has(pod, peer["podSelector"]))


#: Target and port, and everybody who reaches it.
REACHABLE: list[tuple[str, int, set[str]]] = [
    *((pool, port, {"publisher", "subscriber"})
      for pool in ("publisher", "subscriber") for port in (4369, 44053, 9100, 9109)),
    ("publisher", 8888, {"operator", "monitor", "auth"}),
    ("subscriber", 8888, {"operator", "monitor", "auth"}),
    ("publisher", 44054, {"operator"}),
    ("subscriber", 44054, {"operator"}),
    ("publisher", 1883, {"gateway", "shop"}),
    ("auth", 8081, {"publisher", "subscriber"}),
    ("auth", 8080, {"crm", "gateway", "monitor", "operator"}),
    ("gateway", 8080, {"gateway", "shop", "monitor"}),
    ("presence", 6379, {"auth"}),
    ("publisher", 9110, set()),
    ("auth", 22, set()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "port", "sources"), REACHABLE, ids=[f"{t}-{p}" for t, p, _ in REACHABLE]
)
def test_everything_else_is_denied(target: str, port: int, sources: set[str]) -> None:
    network = Network(SPEC)
    found = {name for name in network.pods if network.reaches(name, target, port)}
    assert found - {target} == sources - {target}


@pytest.mark.parametrize("port", [1883, 8083])
def test_devices_reach_the_listeners_in_the_pod(port: int) -> None:
    network = Network(SPEC)
    assert network.reaches("device", "subscriber", port)
    assert network.reaches("stranger", "subscriber", port)
    assert not network.reaches("device", "subscriber", 80)


@pytest.mark.parametrize(
    ("allowed", "sources"),
    [(["tools"], {"gateway", "tools"}), ([], {"gateway"}), (None, {"gateway", "shop"})],
)
def test_publishers_come_from_the_declared_namespaces_only(
    allowed: list[str] | None, sources: set[str]
) -> None:
    network = Network({**SPEC, "publishers": {"allowedNamespaces": allowed}})
    found = {name for name in network.pods if network.reaches(name, "publisher", 1883)}
    assert found == sources


@pytest.mark.parametrize("source", ["publisher", "subscriber", "presence"])
def test_what_holds_messages_reaches_nobody_outside(source: str) -> None:
    network = Network(SPEC)
    for port in (80, 443, 1883, 8080, 6379):
        assert not network.reaches(source, "device", port)


def test_names_are_resolved_by_udp_and_tcp() -> None:
    rules = [p["egress"][:2] for p in Network(SPEC).policies if p.get("egress")]
    assert rules
    for dns in rules:
        assert [r["ports"][0]["protocol"] for r in dns] == ["UDP", "TCP"]
        assert all(r["ports"][0]["port"] == 53 and "to" not in r for r in dns)


def test_with_tls_the_auth_services_plain_port_is_for_operator_and_monitors_only() -> None:
    auth = {**SPEC["auth"], "tls": {"secretName": "auth"}}
    network = Network({**SPEC, "auth": auth})
    for port, welcome in ((8443, {"gateway", "crm"}), (8080, {"monitor", "operator"})):
        reaching = {pod for pod in network.pods if network.reaches(pod, "auth", port)}
        assert reaching - {"auth"} == welcome


def test_with_https_the_gateways_plain_port_is_for_monitors_only() -> None:
    gateway = {**SPEC["gateway"], "tls": {"secretName": "https"}}
    network = Network({**SPEC, "gateway": gateway})
    for port, welcome in ((8443, {"gateway", "shop"}), (8080, {"monitor"})):
        reaching = {pod for pod in network.pods if network.reaches(pod, "gateway", port)}
        assert reaching == welcome
