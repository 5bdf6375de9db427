"""Good objects are accepted, and what `kubectl` makes of them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from hack.golden import cluster_samples
from liveconnect.api.v1alpha1 import Cluster
from tests.integration.crd.conftest import ApiServer
from tests.integration.crd.objects import ABSENT, good, with_field

pytestmark = pytest.mark.integration

GOOD: list[tuple[str, Any]] = [
    ("metadata.name", "a" * 40),
    ("spec.broker", {"image": "registry.example.com/vernemq/vernemq:2.1.2"}),
    ("spec.broker", {"image": "docker.io/mine/vernemq@sha256:" + "0" * 64}),
    ("spec.broker.config", {"max_message_size": "65536", "log.syslog": "off", "nodes": "x"}),
    ("spec.subscribers", {"autoscaling": {"minReplicas": 2, "maxReplicas": 2}}),
    ("spec.subscribers", {}),
    ("spec.subscribers.listeners", [{"name": f"m{n}", "port": 2000 + n} for n in range(8)]),
    (
        "spec.subscribers.listeners",
        [
            {"name": "mqtt", "port": 8080, "servicePort": 1883, "proxyProtocol": True},
            {"name": "ws", "port": 1883, "servicePort": 443, "nodePort": 31443},
        ],
    ),
    ("spec.publishers.allowedNamespaces", []),
    (
        "spec.subscribers.service",
        {
            "loadBalancerClass": "example.com/lb",
            "loadBalancerSourceRanges": ["10.0.0.0/8", "2001:db8::/32"],
            "annotations": {"service.beta.kubernetes.io/aws-load-balancer-type": "nlb", "x": ""},
        },
    ),
    (
        "spec.subscribers.resources",
        {
            "requests": {"cpu": 1, "memory": "1024Mi", "example.com/gpu": "1"},
            "limits": {"cpu": "1000m", "memory": "1Gi", "example.com/gpu": 1},
        },
    ),
    ("spec.auth.tokens.0.jwt.jwksURI", ABSENT),
    ("spec.auth.tokens.0.jwt.subjectClaim", "https://login.example.com/customer"),
    (
        "spec.auth.tokens.1",
        {
            "introspection": {
                "url": "https://login.example.com/introspect",
                "clientID": "liveconnect",
                "clientSecretRef": {"name": "login", "key": "client-secret"},
            }
        },
    ),
    (
        "spec.subscribers",
        {
            "autoscaling": {"maxReplicas": 5, "connectionsPerNode": 2000},
            "listeners": [
                {"name": "mqtt", "port": 1883, "maxConnections": 1000},
                {"name": "other", "port": 1884, "maxConnections": 1000},
            ],
        },
    ),
    (  # nobody counts the connections of WebSockets
        "spec.subscribers",
        {
            "autoscaling": {"maxReplicas": 5, "connectionsPerNode": 200_000},
            "listeners": [{"name": "ws", "port": 8080, "protocol": "WS"}],
        },
    ),
    ("spec.presence.store", {"managed": {"storage": {"size": "2Gi"}}}),
    *(
        ("spec.auth.topics", [{"filter": text, "allow": ["subscribe", "publish"]}])
        for text in (
            "#", "+", "/", "+/+", "a/#", "/#", "a//b", "+/a/#", "a b/c", "größe/✓",
            "{clientId}", "{claims.sub}/{claims.example.com:x}", "x-{claims.sub}-y/+/z",
            "a" * 512,
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), GOOD, ids=[f"{r[0]}-{n}" for n, r in enumerate(GOOD)])
def test_a_good_object_is_accepted(api_server: ApiServer, path: str, value: Any) -> None:
    assert not api_server.refusal(with_field(good(), path, value))


@pytest.mark.parametrize("sample", cluster_samples(), ids=lambda p: p.stem)
def test_samples_are_accepted_and_defaulted_as_the_models_do(
    api_server: ApiServer, sample: Any
) -> None:
    """One object, two readers: the API server's defaults are those that the operator works with."""
    body = yaml.safe_load(sample.read_text())
    stored = api_server.apply(body, dry_run=True)
    stored["metadata"]["uid"] = stored["metadata"].get("uid", "")
    body["metadata"].update(namespace="x", uid="x")
    assert Cluster.parse(stored).spec == Cluster.parse(body).spec


def test_kubectl_speaks_of_liveconnect(api_server: ApiServer) -> None:
    api_server.apply(good("words"))
    heads = ["NAME", "READY", "PUBLISHERS", "SUBSCRIBERS", "CLIENTS", "RATE", "AGE"]
    for word in ("liveconnect", "lcc", "liveconnectclusters", "all", "messaging"):
        listed = api_server.kubectl("get", word, "-o", "wide")
        lines = [line for line in listed.splitlines() if line.startswith("NAME")]
        wide = [*heads, "ENDPOINT", "VERSION", "SKEW", "MESSAGE"]
        assert any(line.split() == wide for line in lines)


def test_an_object_that_nobody_looks_at_says_so(api_server: ApiServer) -> None:
    """Without an operator; with one, the object may have been looked at already."""
    body = with_field(good("alone"), "metadata.namespace", "crd-tests")
    stored = api_server.apply(body, dry_run=True)
    ready = stored["status"]["conditions"][0]
    assert (ready["type"], ready["status"], ready["reason"]) == ("Ready", "Unknown", "Waiting")
    assert ready["message"] == "waiting for the LiveConnect operator"


def test_kubectl_scale_reaches_the_subscribers(api_server: ApiServer) -> None:
    api_server.apply(good("scaled"))
    api_server.kubectl("scale", "liveconnect/scaled", "--replicas=5")
    path = "jsonpath={.spec.subscribers.replicas}"
    assert api_server.kubectl("get", "lcc", "scaled", "-o", path) == "5"


def test_every_field_is_explained(api_server: ApiServer) -> None:
    explained = api_server.kubectl("explain", "liveconnect.spec.subscribers.autoscaling")
    assert "connectionsPerNode" in explained
    assert "Connections that one node shall hold on average." in explained
