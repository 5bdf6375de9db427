"""Bad objects are refused, with a message that names the field and says what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from liveconnect.api.v1alpha1 import OPERATOR_OWNED_CONFIG
from tests.integration.crd.conftest import ApiServer
from tests.integration.crd.objects import ABSENT, good, with_field

pytestmark = pytest.mark.integration

_JWT = "spec.auth.tokens.0.jwt"
_SECRET = {"name": "keys", "key": "jwks.json"}
_LISTENER = {"name": "mqtt", "port": 1883}
_PROVIDER = good()["spec"]["auth"]["tokens"][0]
_INTROSPECTION = "spec.auth.tokens[0].introspection"
_ASKED: dict[str, Any] = {
    "url": "https://login.example.com/introspect",
    "clientID": "liveconnect",
    "clientSecretRef": {"name": "login", "key": "client-secret"},
}

#: What is changed, its new value, the field that the message names, words of the message.
BAD: list[tuple[str, Any, str, str]] = [
    ("metadata.name", "a" * 41, "metadata.name", "at most 40 characters"),
    ("metadata.name", "1demo", "metadata.name", "beginning with a letter"),
    ("metadata.name", "de.mo", "metadata.name", "Services are named after it"),
    ("spec", ABSENT, "spec", "Required"),
    ("spec.auth", ABSENT, "spec.auth", "Required"),
    ("spec.auth.tokens", [], "spec.auth.tokens", "at least 1 item"),
    # the broker
    ("spec.broker.acceptEULA", False, "spec.broker.acceptEULA", "end user licence agreement"),
    ("spec.broker", {"image": "vernemq/vernemq"}, "spec.broker.acceptEULA", "licence"),
    ("spec.broker", {"image": "vernemq/vernemq:2.1.2-alpine"}, "spec.broker.acceptEULA", "licence"),
    ("spec.broker", {"image": "vernemq/vernemq@sha256:00"}, "spec.broker.acceptEULA", "licence"),
    (
        "spec.broker",
        {"image": "index.docker.io/vernemq/vernemq:2"},
        "spec.broker.acceptEULA",
        "lic",
    ),
    ("spec.broker.image", "", "spec.broker.image", "at least 1 char"),
    ("spec.broker.image", "broker: 1", "spec.broker.image", "should match"),
    ("spec.broker.netsplit", "Avialable", "spec.broker.netsplit", '"Available", "Consistent"'),
    ("spec.broker.imagePullPolicy", "Sometimes", "spec.broker.imagePullPolicy", '"Never"'),
    (
        "spec.broker.config",
        {"listener.tcp.mine": "0.0.0.0:1884"},
        "spec.broker.config",
        "listener.tcp.mine: rendered by the operator",
    ),
    (
        "spec.broker.config",
        {"allow_anonymous": "on"},
        "spec.broker.config",
        "allow_anonymous: rendered by the operator",
    ),
    *(
        (
            "spec.broker.config",
            {f"{key}x" if key.endswith(".") else key: "1"},
            "spec.broker.config",
            f"{key}x: rendered" if key.endswith(".") else f"{key}: rendered",
        )
        for key in OPERATOR_OWNED_CONFIG
    ),
    ("spec.broker.config", {"x": "1\nallow_anonymous = on"}, "spec.broker.config", "one line"),
    ("spec.broker.config", {"a b": "1"}, "spec.broker.config", "names as in vernemq.conf"),
    ("spec.broker.config", {"x": 1}, "spec.broker.config.x", "string"),
    (
        "spec.broker.config",
        {"max_message_size": "64k"},
        "spec.broker.config",
        "max_message_size: a whole number",
    ),
    (
        "spec.broker.config",
        {"systree_enabled": "yes"},
        "spec.broker.config",
        "systree_enabled: on or off",
    ),
    ("spec.brokers", {}, "spec.brokers", "field not declared in schema"),
    # the gateway
    (
        "spec.gateway.requests",
        {"topic": "a/{clientId}", "replyTopic": "a/{clientId}"},
        "spec.gateway.requests.replyTopic",
        "topics of their own",
    ),
    (
        "spec.gateway.requests",
        {"replyTopic": "clients/replies"},
        "spec.gateway.requests.replyTopic",
        "should match",
    ),
    (
        "spec.gateway.requests",
        {"maxPending": 0},
        "spec.gateway.requests.maxPending",
        "or equal to 1",
    ),
    ("spec.gateway.clientTopic", "clients/inbox", "spec.gateway.clientTopic", "should match"),
    ("spec.gateway.clientTopic", "a/{clientId}/#", "spec.gateway.clientTopic", "should match"),
    ("spec.gateway.clientTopic", "a{clientId}", "spec.gateway.clientTopic", "should match"),
    ("spec.gateway.clientTopic", "$SYS/{clientId}", "spec.gateway.clientTopic", "should match"),
    (
        "spec.gateway.callers",
        [
            {
                "serviceAccount": {"namespace": "shop", "name": "orders"},
                "publish": ["orders/#"],
                "messagesPerSecond": 0,
            }
        ],
        "spec.gateway.callers[0].messagesPerSecond",
        "greater than or equal to 1",
    ),
    ("spec.gateway.outbox.maxMessages", 10, "spec.gateway.outbox.maxMessages", "equal to 1000"),
    ("spec.gateway.outbox.storage.size", "1", "spec.gateway.outbox.storage.size", "should match"),
    ("spec.gateway.groupTopic", "groups/{clientId}", "spec.gateway.groupTopic", "should match"),
    # the pools
    ("spec.publishers.replicas", 0, "spec.publishers.replicas", "greater than or equal to 1"),
    ("spec.publishers.repicas", 3, "spec.publishers.repicas", "field not declared in schema"),
    ("spec.subscribers.replicas", 101, "spec.subscribers.replicas", "less than or equal to 100"),
    ("spec.subscribers.replicas", "three", "spec.subscribers.replicas", "numeric"),
    (
        "spec.subscribers",
        {"replicas": 2, "autoscaling": {"maxReplicas": 4}},
        "spec.subscribers.replicas",
        "either replicas or autoscaling",
    ),
    (
        "spec.subscribers",
        {"autoscaling": {"minReplicas": 5, "maxReplicas": 4}},
        "spec.subscribers.autoscaling.minReplicas",
        "must not exceed maxReplicas",
    ),
    (
        "spec.subscribers",
        {"autoscaling": {"minReplicas": 5}},
        "spec.subscribers.autoscaling.maxReplicas",
        "Required",
    ),
    (
        "spec.subscribers.listeners",
        [_LISTENER, {"name": "other", "port": 1883}],
        "spec.subscribers.listeners",
        "a port of its own",
    ),
    (
        "spec.subscribers.listeners",
        [_LISTENER, {"name": "mqtt", "port": 1884}],
        "spec.subscribers.listeners",
        "duplicate entries for key [name=",
    ),
    (
        "spec.subscribers.listeners",
        [_LISTENER, {"name": "metrics", "port": 8888}],
        "spec.subscribers.listeners[1].port",
        "the broker itself uses",
    ),
    (
        "spec.subscribers.listeners",
        [_LISTENER, {"name": "private", "port": 44054}],
        "spec.subscribers.listeners[1].port",
        "the broker itself uses",
    ),
    (
        "spec.subscribers.listeners",
        [_LISTENER, {"name": "canary", "port": 1884}],
        "spec.subscribers.listeners[1].name",
        "the broker's own ports",
    ),
    (
        "spec.subscribers.listeners",
        [{"name": "epmd", "port": 1883}],
        "spec.subscribers.listeners[0].name",
        "choose another name",
    ),
    (
        "spec.subscribers.listeners",
        [{"name": "mqtt", "port": 70000}],
        "spec.subscribers.listeners[0].port",
        "less than or equal to 65535",
    ),
    (
        "spec.subscribers.listeners",
        [{**_LISTENER, "maxConnections": 0}],
        "spec.subscribers.listeners[0].maxConnections",
        "greater than or equal to 10",
    ),
    (
        "spec.subscribers.listeners",
        [{**_LISTENER, "maxConnections": 1234}],
        "spec.subscribers.listeners[0].maxConnections",
        "multiple of 10",
    ),
    (
        "spec.subscribers.listeners",
        [{**_LISTENER, "maxConnections": 1_000_000}],
        "spec.subscribers.listeners[0].maxConnections",
        "less than or equal to 250000",
    ),
    (
        "spec.subscribers.listeners",
        [{"name": "ws", "port": 8080, "protocol": "WS", "maxConnections": 1000}],
        "spec.subscribers.listeners[0].maxConnections",
        "does not count the connections of WebSockets",
    ),
    (
        "spec.subscribers",
        {
            "autoscaling": {"maxReplicas": 5},
            "listeners": [
                {**_LISTENER, "maxConnections": 1000},
                {"name": "other", "port": 1884, "maxConnections": 1000},
            ],
        },
        "spec.subscribers.autoscaling.connectionsPerNode",
        "lower connectionsPerNode or raise maxConnections",
    ),
    (
        "spec.subscribers",
        {"autoscaling": {"maxReplicas": 5, "connectionsPerNode": 100_001}},
        "spec.subscribers.autoscaling.connectionsPerNode",
        "the pool would never grow",
    ),
    (
        "spec.subscribers.listeners",
        [{"name": "MQTT", "port": 1883}],
        "spec.subscribers.listeners[0].name",
        "should match",
    ),
    (
        "spec.subscribers.listeners",
        [{**_LISTENER, "protocol": "MQTTS"}],
        "spec.subscribers.listeners[0].tls",
        "set tls.secretName",
    ),
    (
        "spec.subscribers.listeners",
        [{**_LISTENER, "tls": {"secretName": "devices"}}],
        "spec.subscribers.listeners[0].tls",
        "set protocol: MQTTS or WSS",
    ),
    (
        "spec.subscribers.listeners",
        [{**_LISTENER, "protocol": "WSS", "tls": {"secretName": "No_Name"}}],
        "spec.subscribers.listeners[0].tls.secretName",
        "should match",
    ),
    (
        "spec.subscribers.listeners",
        [{**_LISTENER, "protocol": "WSS", "tls": {"secretName": "a", "minVersion": "1.1"}}],
        "spec.subscribers.listeners[0].tls.minVersion",
        '"1.2", "1.3"',
    ),
    (
        "spec.subscribers.listeners",
        [
            {
                **_LISTENER,
                "protocol": "MQTTS",
                "tls": {"secretName": "a"},
                "proxyProtocol": True,
            }
        ],
        "spec.subscribers.listeners[0].proxyProtocol",
        "end TLS at the load balancer",
    ),
    (
        "spec.publishers",
        {"tls": {"secretName": "publishers", "clientCASecretName": "backends"}},
        "spec.publishers.tls.gatewaySecretName",
        "the gateway needs a certificate, too",
    ),
    ("spec.auth.tls", {}, "spec.auth.tls.secretName", "Required"),
    ("spec.gateway", {"tls": {}}, "spec.gateway.tls.secretName", "Required"),
    ("spec.publishers", {"tls": {}}, "spec.publishers.tls.secretName", "Required"),
    ("spec.subscribers.listeners", [], "spec.subscribers.listeners", "at least 1 item"),
    (
        "spec.subscribers.listeners",
        [_LISTENER, {"name": "ws", "port": 8080, "servicePort": 1883}],
        "spec.subscribers.listeners",
        "change one servicePort",
    ),
    (
        "spec.subscribers.listeners",
        [{**_LISTENER, "nodePort": 31883}, {"name": "ws", "port": 8080, "nodePort": 31883}],
        "spec.subscribers.listeners",
        "a nodePort of its own",
    ),
    (
        "spec.subscribers",
        {"listeners": [{**_LISTENER, "nodePort": 31883}], "service": {"type": "ClusterIP"}},
        "spec.subscribers.listeners",
        "a nodePort only with service.type",
    ),
    (
        "spec.publishers.allowedNamespaces",
        ["Shop"],
        "spec.publishers.allowedNamespaces[0]",
        "should match",
    ),
    (
        "spec.publishers.allowedNamespaces",
        ["shop", "shop"],
        "spec.publishers.allowedNamespaces",
        "duplicate entries",
    ),
    (
        "spec.subscribers.service.loadBalancerSourceRanges",
        ["10.0.0.0"],
        "spec.subscribers.service.loadBalancerSourceRanges[0]",
        "10.0.0.0/8",
    ),
    (
        "spec.subscribers.service",
        {"type": "ClusterIP", "loadBalancerSourceRanges": ["10.0.0.0/8"]},
        "spec.subscribers.service.loadBalancerSourceRanges",
        "only with type: LoadBalancer",
    ),
    (
        "spec.subscribers.service",
        {"type": "NodePort", "loadBalancerClass": "example.com/lb"},
        "spec.subscribers.service.loadBalancerClass",
        "only with type: LoadBalancer",
    ),
    (
        "spec.subscribers.service.annotations",
        {"not a key": "x"},
        "spec.subscribers.service.annotations",
        "names with an optional domain",
    ),
    (
        "spec.subscribers.service.annotations",
        {"liveconnect.io/manifest-hash": "x"},
        "spec.subscribers.service.annotations",
        "the operator's own",
    ),
    (
        "spec.subscribers.resources",
        {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}},
        "spec.subscribers.resources.requests",
        "must not exceed limits",
    ),
    (
        "spec.auth.resources",
        {"limits": {"memory": "1Gib"}},
        "spec.auth.resources.limits.memory",
        "should match",
    ),
    (
        "spec.gateway.resources",
        {"limits": {"mem": "1Gi"}},
        "spec.gateway.resources.limits",
        "resources are cpu, memory",
    ),
    (
        "spec.publishers.storage.retention",
        {"whenScaled": "Keep"},
        "spec.publishers.storage.retention.whenScaled",
        '"Retain", "Delete"',
    ),
    ("spec.publishers.storage.size", "0Gi", "spec.publishers.storage.size", "should match"),
    ("spec.publishers.storage.size", "1 Gi", "spec.publishers.storage.size", "should match"),
    # who may connect
    (f"{_JWT}.jwksSecretRef", _SECRET, "spec.auth.tokens[0].jwt.jwksSecretRef", "exactly one"),
    (
        _JWT,
        {"issuer": "urn:login", "audiences": ["devices"]},
        "spec.auth.tokens[0].jwt.jwksURI",
        "only from an issuer that is a URL",
    ),
    (f"{_JWT}.jwksURI", "login.example.com", "spec.auth.tokens[0].jwt.jwksURI", "should match"),
    (f"{_JWT}.algorithms", ["HS256"], "spec.auth.tokens[0].jwt.algorithms[0]", '"ES256"'),
    (f"{_JWT}.audiences", [], "spec.auth.tokens[0].jwt.audiences", "at least 1 item"),
    (f"{_JWT}.issuer", ABSENT, "spec.auth.tokens[0].jwt.issuer", "Required"),
    ("spec.auth.tokens", [_PROVIDER, _PROVIDER], "spec.auth.tokens", "an issuer of its own"),
    (
        "spec.auth.tokens",
        [_PROVIDER, {"introspection": {**_ASKED, "issuer": _PROVIDER["jwt"]["issuer"]}}],
        "spec.auth.tokens",
        "an issuer of its own",
    ),
    ("spec.auth.tokens", [{}], "spec.auth.tokens[0].jwt", "set jwt or introspection"),
    (
        "spec.auth.tokens.0.introspection",
        _ASKED,
        "spec.auth.tokens[0].introspection",
        "a provider of its own in the list",
    ),
    *(
        ("spec.auth.tokens", [{"introspection": {**_ASKED, name: value}}], field, words)
        for name, value, field, words in (
            ("url", "login/introspect", f"{_INTROSPECTION}.url", "should match"),
            ("clientID", "", f"{_INTROSPECTION}.clientID", "at least 1 char"),
            ("clientSecret", "s3cret", f"{_INTROSPECTION}.clientSecret", "not declared"),
            ("clientSecretRef", {"name": "s"}, f"{_INTROSPECTION}.clientSecretRef.key", "Required"),
            ("cacheSeconds", 0, f"{_INTROSPECTION}.cacheSeconds", "greater than or equal to 1"),
            ("cacheSeconds", 3601, f"{_INTROSPECTION}.cacheSeconds", "less than or equal to"),
        )
    ),
    (
        "spec.auth.revokers",
        [{"serviceAccount": {"namespace": "shop"}}],
        "spec.auth.revokers[0].serviceAccount.name",
        "Required",
    ),
    (
        "spec.auth.connects.perSecondPerNode",
        5,
        "spec.auth.connects.perSecondPerNode",
        "greater than or equal to 10",
    ),
    (
        "spec.auth.connects",
        {"priority": {"first": ["gold"]}},
        "spec.auth.connects.priority.claim",
        "Required",
    ),
    # topics
    *(
        ("spec.auth.topics", [{"filter": text, "allow": ["subscribe"]}], field, words)
        for field in ("spec.auth.topics[0].filter",)
        for text, words in (
            ("orders/#/status", "only in the last level"),
            ("orders#", "only in the last level"),
            ("orders/+x/status", "alone in its level"),
            ("orders/x+", "alone in its level"),
            ("$SYS/#", "begin with $"),
            ("orders/{client_id}/status", "{clientId} and {claims.NAME}"),
            ("orders/{claims.sub", "{clientId} and {claims.NAME}"),
            ("a\u0000b", "control characters"),
            ("", "at least 1 char"),
            ("a" * 513, "more than 512"),
        )
    ),
    (
        "spec.auth.topics",
        [{"filter": "a", "allow": ["receive"]}],
        "spec.auth.topics[0].allow[0]",
        '"subscribe", "publish"',
    ),
    (
        "spec.auth.topics",
        [{"filter": "a", "allow": ["publish"], "maxQoS": 3}],
        "spec.auth.topics[0].maxQoS",
        "less than or equal to 2",
    ),
    (
        "spec.auth.topics",
        [{"filter": "a", "allow": ["publish"], "maxPayloadBytes": -1}],
        "spec.auth.topics[0].maxPayloadBytes",
        "greater than or equal to 0",
    ),
    (
        "spec.auth.topics",
        [{"filter": "a", "allow": ["publish"], "groups": ["staff", ""]}],
        "spec.auth.topics[0].groups",
        "at least 1 char",
    ),
    (
        "spec.auth.topics",
        [{"filter": "a", "allow": ["publish"], "groups": ["staff", "staff"]}],
        "spec.auth.topics[0].groups",
        "duplicate entries",
    ),
    *(
        ("spec.auth.delegations", [{"filters": ["a"], "allow": ["publish"], **more}], field, words)
        for more, field, words in (
            ({}, "spec.auth.delegations[0].namespaces", "set namespaces or namespaceSelector"),
            (
                {"namespaces": ["a"], "namespaceSelector": {"matchLabels": {"a": "b"}}},
                "spec.auth.delegations[0].namespaceSelector",
                "not together with namespaces",
            ),
            ({"namespaces": []}, "spec.auth.delegations[0].namespaces", "at least 1 item"),
            ({"namespaces": ["A"]}, "spec.auth.delegations[0].namespaces[0]", "should match"),
            (
                {"namespaceSelector": {"matchLabels": {}}},
                "spec.auth.delegations[0].namespaceSelector.matchLabels",
                "at least 1",
            ),
            (
                {"namespaces": ["a"], "filters": ["a/#/b"]},
                "spec.auth.delegations[0].filters[0]",
                "only in the last level",
            ),
            (
                {"namespaces": ["a"], "filters": ["a/{nobody}"]},
                "spec.auth.delegations[0].filters[0]",
                "{clientId} and {claims.NAME}",
            ),
            ({"namespaces": ["a"], "allow": []}, "spec.auth.delegations[0].allow", "at least 1"),
        )
    ),
    (
        "spec.gateway.callers.0.publish",
        ["orders/{clientId}"],
        "spec.gateway.callers[0].publish[0]",
        "no placeholders here",
    ),
    (
        "spec.gateway.callers.0.publish",
        ["a/#/b"],
        "spec.gateway.callers[0].publish[0]",
        "only in the last level",
    ),
    (
        "spec.gateway.callers.0.serviceAccount.name",
        "system:serviceaccount:shop:orders",
        "spec.gateway.callers[0].serviceAccount.name",
        "should match",
    ),
    # presence
    (
        "spec.presence.webhook",
        {"url": "ftp://crm.example.com"},
        "spec.presence.webhook.url",
        "should match",
    ),
    ("spec.presence.webhook", {}, "spec.presence.webhook.url", "Required"),
    ("spec.presence.historyHours", 721, "spec.presence.historyHours", "less than or equal to 720"),
    ("spec.presence.forgetAfterDays", 0, "spec.presence.forgetAfterDays", "greater than or equal"),
    (
        "spec.presence.store",
        {"managed": {}, "external": {"urlSecretRef": {"name": "valkey", "key": "url"}}},
        "spec.presence.store.external",
        "either managed or external",
    ),
    (
        "spec.presence.store",
        {"external": {}},
        "spec.presence.store.external.urlSecretRef",
        "Required",
    ),
]


@pytest.mark.parametrize(
    ("path", "value", "field", "words"), BAD, ids=[f"{row[0]}-{n}" for n, row in enumerate(BAD)]
)
def test_a_bad_object_is_refused(
    api_server: ApiServer, path: str, value: Any, field: str, words: str
) -> None:
    refusal = api_server.refusal(with_field(good(), path, value))
    assert field in refusal
    assert words in refusal


#: Objects that stand already, and changes to them.
BAD_CHANGES: list[tuple[str, Any, Any, str, str]] = [
    (
        "spec.subscribers.storage",
        {"size": "2Gi"},
        {"size": "2047Mi"},
        "spec.subscribers.storage.size",
        "volumes cannot shrink",
    ),
    (
        "spec.publishers.storage",
        {},
        {"size": "1000M"},
        "spec.publishers.storage.size",
        "volumes cannot shrink",
    ),
    (
        "spec.publishers.storage",
        {},
        {"storageClassName": "fast"},
        "spec.publishers.storage.storageClassName",
        "make a new cluster object",
    ),
    (
        "spec.publishers.storage",
        {"storageClassName": "fast"},
        {"storageClassName": "slow"},
        "spec.publishers.storage.storageClassName",
        "volumes cannot change their class",
    ),
    (
        "spec.presence.store",
        {"managed": {"storage": {"size": "2Gi"}}},
        {"managed": {}},
        "spec.presence.store.managed.storage.size",
        "volumes cannot shrink",
    ),
    (
        "spec.presence.store",
        {"managed": {"storage": {"size": "2Gi", "storageClassName": "fast"}}},
        {"managed": {"storage": {"size": "2Gi"}}},
        "spec.presence.store.managed.storage.storageClassName",
        "volumes cannot change their class",
    ),
    (
        "spec.subscribers.service",
        {},
        {"loadBalancerClass": "example.com/lb"},
        "spec.subscribers.service.loadBalancerClass",
        "set type: ClusterIP first",
    ),
]


@pytest.mark.parametrize("number", range(len(BAD_CHANGES)))
def test_a_bad_change_is_refused(api_server: ApiServer, number: int) -> None:
    path, before, after, field, words = BAD_CHANGES[number]
    name = f"bad-change-{number}"
    api_server.apply(with_field(good(name), path, before))
    refusal = api_server.refusal(with_field(good(name), path, after))
    assert field in refusal
    assert words in refusal


_EXTERNAL = {"external": {"urlSecretRef": {"name": "valkey", "key": "url"}}}
#: Objects that stand already, and changes that look like the bad ones.
GOOD_CHANGES: list[tuple[str, Any, Any]] = [
    ("spec.presence.store", {}, {"managed": {}}),
    ("spec.presence.store", _EXTERNAL, {"managed": {"storage": {"size": "2Gi"}}}),
    ("spec.presence.store", {"managed": {"storage": {"size": "2Gi"}}}, _EXTERNAL),
    ("spec.subscribers.storage", {}, {"size": "1Gi"}),
    ("spec.subscribers.storage", {"size": "1Gi"}, {"size": "1024Mi"}),
    ("spec.subscribers.storage", {"size": "1Gi"}, {"size": "1.5Gi"}),
    ("spec.presence.store", {}, {"managed": {"storage": {"size": "2Gi"}}}),
    ("spec.publishers.storage", {}, {"retention": {"whenScaled": "Retain"}}),
    ("spec.subscribers", {"replicas": 2}, {"autoscaling": {"maxReplicas": 4}}),
    (
        "spec.subscribers.service",
        {"loadBalancerClass": "example.com/lb"},
        {"type": "ClusterIP"},
    ),
]


@pytest.mark.parametrize("number", range(len(GOOD_CHANGES)))
def test_a_good_change_is_accepted(api_server: ApiServer, number: int) -> None:
    path, before, after = GOOD_CHANGES[number]
    name = f"good-change-{number}"
    api_server.apply(with_field(good(name), path, before))
    assert not api_server.refusal(with_field(good(name), path, after))


def test_scaling_is_refused_while_it_is_automatic(api_server: ApiServer) -> None:
    scaling = {"autoscaling": {"maxReplicas": 4}}
    api_server.apply(with_field(good("automatic"), "spec.subscribers", scaling))
    refusal = api_server.refusal(
        with_field(good("automatic"), "spec.subscribers", {**scaling, "replicas": 3})
    )
    assert "either replicas or autoscaling" in refusal
