"""Listeners: ports of the Service, of the pod, the PROXY protocol."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hack.golden import rendered
from liveconnect.api.v1alpha1 import Cluster, Listener

LISTENERS = [
    {"name": "mqtt", "port": 1884, "servicePort": 1883, "nodePort": 31883, "proxyProtocol": True},
    {"name": "ws", "port": 8083, "protocol": "WS"},
]


def manifest(
    kind: str, name: str, listeners: list[dict[str, Any]] = LISTENERS, **service: Any
) -> dict[str, Any]:
    jwt = {"issuer": "i", "audiences": ["a"], "jwksURI": "https://i/jwks"}
    spec = {
        "broker": {"image": "b:1"},
        "subscribers": {"listeners": listeners, "service": service},
        "auth": {"tokens": [{"jwt": jwt}]},
    }
    meta = {"name": "demo", "namespace": "ns", "uid": "u", "generation": 1}
    made = rendered(Cluster.parse({"metadata": meta, "spec": spec}))
    return next(m for m in made if m["kind"] == kind and m["metadata"]["name"] == name)


def test_the_service_has_its_own_ports() -> None:
    ports = manifest("Service", "demo-subscriber")["spec"]["ports"]
    assert ports == [
        {"name": "mqtt", "port": 1883, "targetPort": 1884, "nodePort": 31883, "protocol": "TCP"},
        {"name": "ws", "port": 8083, "targetPort": 8083, "protocol": "TCP"},
    ]


def test_the_load_balancer_is_as_it_is_asked_for() -> None:
    made = manifest(
        "Service",
        "demo-subscriber",
        type="LoadBalancer",
        annotations={"cloud.example/internal": "true"},
        loadBalancerClass="cloud.example/nlb",
        loadBalancerSourceRanges=["10.0.0.0/8"],
        externalTrafficPolicy="Local",
    )
    assert made["metadata"]["annotations"]["cloud.example/internal"] == "true"
    assert made["spec"] | {"ports": []} == {
        "type": "LoadBalancer",
        "loadBalancerClass": "cloud.example/nlb",
        "loadBalancerSourceRanges": ["10.0.0.0/8"],
        "externalTrafficPolicy": "Local",
        "selector": made["spec"]["selector"],
        "ports": [],
    }


def test_a_pool_inside_the_cluster_has_no_external_traffic() -> None:
    spec = manifest("Service", "demo-subscriber", type="ClusterIP")["spec"]
    assert spec["type"] == "ClusterIP"
    assert "externalTrafficPolicy" not in spec


def test_the_pod_listens_on_the_listeners_port() -> None:
    pod = manifest("StatefulSet", "demo-subscriber")["spec"]["template"]["spec"]
    ports = {p["name"]: p["containerPort"] for p in pod["containers"][0]["ports"]}
    assert ports["mqtt"] == 1884


def test_proxy_protocol_is_on_where_it_is_asked_for_and_never_names_the_user() -> None:
    conf = manifest("ConfigMap", "demo-subscriber")["data"]["vernemq.conf"]
    assert "listener.tcp.mqtt = 0.0.0.0:1884\n" in conf
    assert "listener.tcp.mqtt.proxy_protocol = on\n" in conf
    assert "listener.tcp.mqtt.proxy_protocol_use_cn_as_username = off\n" in conf
    assert "listener.ws.ws.proxy_protocol" not in conf


OPTION = re.compile(
    r"^listener\.(\w+\.\w+)\.(max_connections|nr_of_acceptors) = (\d+)$", re.MULTILINE
)


def ceilings(conf: str) -> dict[str, int]:
    """What each listener really holds: `max_connections` for each acceptor (recorded)."""
    found: dict[str, dict[str, int]] = {}
    for name, option, number in OPTION.findall(conf):
        found.setdefault(name, {})[option] = int(number)
    return {name: each["max_connections"] * each["nr_of_acceptors"] for name, each in found.items()}


@given(st.integers(1, 25_000).map(lambda tens: 10 * tens))
def test_a_listener_really_holds_the_number_that_is_given(most: int) -> None:
    listeners = [{**LISTENERS[0], "maxConnections": most}, LISTENERS[1]]
    conf = manifest("ConfigMap", "demo-subscriber", listeners)["data"]["vernemq.conf"]
    assert ceilings(conf) == {"tcp.canary": 10, "tcp.mqtt": most}


def test_no_bound_is_stated_where_vernemq_counts_no_connections() -> None:
    """WebSockets: seen at VerneMQ 2.1.2, 30 of 30 upgraded where 20 were configured."""
    wss = {"name": "wss", "port": 8443, "protocol": "WSS", "tls": {"secretName": "s"}}
    conf = manifest("ConfigMap", "demo-subscriber", [LISTENERS[1], wss])["data"]["vernemq.conf"]
    assert ceilings(conf) == {"tcp.canary": 10}


def test_the_publishers_listener_has_the_default() -> None:
    conf = manifest("ConfigMap", "demo-publisher")["data"]["vernemq.conf"]
    assert ceilings(conf)["tcp.mqtt"] == 100_000


@pytest.mark.parametrize("most", [0, 5, 15, 250_010, -10])
def test_a_number_that_no_node_could_hold_is_refused(most: int) -> None:
    with pytest.raises(ValidationError, match="maxConnections"):
        Listener(name="mqtt", port=1883, maxConnections=most)
