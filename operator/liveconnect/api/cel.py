"""Rules that no type states, as CEL in the CRD: no admission webhook, no certificate is needed.

The API server puts the field's path before each message, so the messages do not repeat it: they say
what is wrong and what to do. Its cost budget is why lists, maps and strings have bounds.
"""

from __future__ import annotations

from collections.abc import Iterable

from liveconnect.api.podrules import POD_TEMPLATE_RULES
from liveconnect.api.rule import FORBIDDEN as _FORBIDDEN
from liveconnect.api.rule import QUALIFIED as _QUALIFIED
from liveconnect.api.rule import REQUIRED as _REQUIRED
from liveconnect.api.rule import Rule
from liveconnect.api.rule import rule as _rule
from liveconnect.api.rule import texts as _texts
from liveconnect.api.v1alpha1 import (
    LISTENER_CONNECTIONS,
    LIVE_FLAGS,
    LIVE_NUMBERS,
    MAX_NAME_LENGTH,
    OPERATOR_OWNED_CONFIG,
    RESERVED_PORTS,
)


def _spans(numbers: Iterable[int]) -> str:
    """Numbers for people: `1, 4-6`."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][-1] + 1:
            spans[-1] = [spans[-1][0], number]
        else:
            spans.append([number])
    return ", ".join("-".join(str(number) for number in span) for span in spans)


_OWNED = _texts(OPERATOR_OWNED_CONFIG)
_OWNED_KEY = f"{_OWNED}.exists(o, k.startsWith(o))"
_PORTS = ", ".join(str(port) for port in RESERVED_PORTS)
_OFFICIAL_IMAGE = "^((index[.]|registry-1[.])?docker[.]io/)?vernemq/vernemq([:@].*)?$"
_NAME = [
    _rule(
        f"self.metadata.name.size() <= {MAX_NAME_LENGTH}",
        f"metadata.name: at most {MAX_NAME_LENGTH} characters, pods and labels are named after it",
    ),
    _rule(
        "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "metadata.name: lower-case letters, digits and `-`, beginning with a letter: Services are "
        "named after it",
    ),
]

_SPEC = [
    # Not on `broker` itself: there its default would have to accept the licence.
    _rule(
        f"self.broker.acceptEULA || !self.broker.image.matches('{_OFFICIAL_IMAGE}')",
        "VerneMQ's own images are under an end user licence agreement: read it and set "
        "acceptEULA: true, or use an image that you built",
        ".broker.acceptEULA",
        _REQUIRED,
    ),
]

_CONFIG = [
    _rule(
        f"self.all(k, !{_OWNED_KEY})",
        "a key is rendered by the operator (listeners, plugins, webhooks, node name, cookie, "
        "anonymous access, netsplit switches); remove it",
        reason=_FORBIDDEN,
        expression=f"self.filter(k, {_OWNED_KEY})[0] + ': rendered by the operator; remove it'",
    ),
    _rule(
        "self.all(k, k.matches('^[a-z][a-zA-Z0-9_.$-]*$'))",
        "keys are names as in vernemq.conf, such as max_message_size",
    ),
    _rule(
        "self.all(k, !self[k].matches('[[:cntrl:]]'))",
        "values are one line each, without control characters",
    ),
    *(
        _rule(
            f"self.all(k, !(k in {_texts(keys)}) || self[k].matches('{pattern}'))",
            f"{', '.join(keys)}: {kind}, as a string",
            expression=f"self.filter(k, k in {_texts(keys)} && !self[k].matches('{pattern}'))[0] "
            f"+ ': {kind}, as a string'",
        )
        for keys, pattern, kind in (
            (LIVE_NUMBERS, "^[0-9]{1,9}$", "a whole number"),
            (LIVE_FLAGS, "^(on|off)$", "on or off"),
        )
    ),
]

_RESOURCES = [
    _rule(
        "self.requests.all(k, !(k in self.limits) || !isQuantity(string(self.requests[k])) || "
        "!isQuantity(string(self.limits[k])) || quantity(string(self.requests[k]))"
        ".compareTo(quantity(string(self.limits[k]))) <= 0)",
        "requests must not exceed limits",
        ".requests",
    ),
    *(
        _rule(
            f"self.{field}.all(k, k in ['cpu', 'memory', 'ephemeral-storage'] || "
            "k.startsWith('hugepages-') || k.contains('/'))",
            "resources are cpu, memory, ephemeral-storage, hugepages-… and those with a domain, "
            "such as example.com/gpu",
            f".{field}",
        )
        for field in ("requests", "limits")
    ),
]

_NO_SHRINKING = (
    "volumes cannot shrink: leave the size as it was or make it larger, or make a new cluster "
    "object with smaller volumes and move the clients there"
)
_NO_OTHER_CLASS = (
    "volumes cannot change their class: leave it as it was, or make a new cluster object with "
    "another class and move the clients there"
)

_STORAGE = [
    _rule(
        "quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0",
        _NO_SHRINKING,
        ".size",
        _FORBIDDEN,
    ),
    _rule(
        "has(self.storageClassName) == has(oldSelf.storageClassName) && "
        "(!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
        _NO_OTHER_CLASS,
        ".storageClassName",
        _FORBIDDEN,
    ),
]

_SUBSCRIBERS = [
    _rule(
        "!(has(self.replicas) && has(self.autoscaling))",
        "not together with autoscaling: set either replicas or autoscaling",
        ".replicas",
        _FORBIDDEN,
    ),
]

_SUBSCRIBERS.append(
    _rule(
        # Not there in the default of `subscribers`, on which the API server tries the rules, too.
        "!has(self.service) || !has(self.listeners) || self.service.type != 'ClusterIP' || "
        "self.listeners.all(l, !has(l.nodePort))",
        "a nodePort only with service.type: NodePort or LoadBalancer; remove one of the two",
        ".listeners",
        _FORBIDDEN,
    )
)

_SUBSCRIBERS.append(
    _rule(
        "!has(self.autoscaling) || !has(self.listeners) || "
        "self.listeners.exists(l, l.protocol in ['WS', 'WSS']) || "
        f"self.listeners.map(l, has(l.maxConnections) ? l.maxConnections : {LISTENER_CONNECTIONS})"
        ".sum() >= self.autoscaling.connectionsPerNode",
        "a node cannot hold so many: its listeners' maxConnections are less together, so the pool "
        "would never grow; lower connectionsPerNode or raise maxConnections",
        ".autoscaling.connectionsPerNode",
    )
)

_AUTOSCALING = [
    _rule(
        "self.minReplicas <= self.maxReplicas",
        "must not exceed maxReplicas",
        ".minReplicas",
    ),
]

_SERVICE_PORT = "(has({0}.servicePort) ? {0}.servicePort : {0}.port)"

_LISTENERS = [
    _rule(
        "self.all(a, self.exists_one(b, b.port == a.port))",
        "every listener needs a port of its own",
    ),
    _rule(
        "self.all(a, self.exists_one(b, "
        f"{_SERVICE_PORT.format('b')} == {_SERVICE_PORT.format('a')}))",
        "every listener needs a port of its own on the Service: change one servicePort",
    ),
    _rule(
        "self.all(a, !has(a.nodePort) || "
        "self.exists_one(b, has(b.nodePort) && b.nodePort == a.nodePort))",
        "every listener needs a nodePort of its own",
    ),
]

_LISTENER = [
    _rule(
        f"!(self.port in [{_PORTS}])",
        f"the broker itself uses the ports {_spans(RESERVED_PORTS)}; choose another",
        ".port",
        _FORBIDDEN,
    ),
    _rule(
        "!(self.name in ['http', 'clustering', 'epmd', 'canary'])",
        "http, clustering, epmd and canary are the broker's own ports; choose another name",
        ".name",
        _FORBIDDEN,
    ),
]

_LISTENER.append(
    _rule(
        "self.protocol in ['MQTT', 'MQTTS'] || !has(self.maxConnections)",
        "VerneMQ does not count the connections of WebSockets: remove maxConnections, or bound "
        "them at the load balancer",
        ".maxConnections",
        _FORBIDDEN,
    )
)

_LISTENER_TLS = [
    _rule(
        "self.protocol in ['MQTT', 'WS'] || has(self.tls)",
        "MQTTS and WSS need a certificate: set tls.secretName",
        ".tls",
        _REQUIRED,
    ),
    _rule(
        "self.protocol in ['MQTTS', 'WSS'] || !has(self.tls)",
        "MQTT and WS have no TLS: set protocol: MQTTS or WSS, or remove tls",
        ".tls",
        _FORBIDDEN,
    ),
    _rule(
        "self.protocol in ['MQTT', 'WS'] || !self.proxyProtocol",
        "VerneMQ has the PROXY protocol for plain connections only: remove it, or end TLS at the "
        "load balancer",
        ".proxyProtocol",
        _FORBIDDEN,
    ),
]

_SERVICE = [
    _rule(
        "self.type == 'LoadBalancer' || !has(self.loadBalancerClass)",
        "only with type: LoadBalancer",
        ".loadBalancerClass",
        _FORBIDDEN,
    ),
    _rule(
        "self.type == 'LoadBalancer' || self.loadBalancerSourceRanges.size() == 0",
        "only with type: LoadBalancer",
        ".loadBalancerSourceRanges",
        _FORBIDDEN,
    ),
    _rule(
        "self.type != 'LoadBalancer' || oldSelf.type != 'LoadBalancer' || "
        "(has(self.loadBalancerClass) == has(oldSelf.loadBalancerClass) && "
        "(!has(self.loadBalancerClass) || self.loadBalancerClass == oldSelf.loadBalancerClass))",
        "Kubernetes does not let it change on a load balancer: set type: ClusterIP first, then "
        "LoadBalancer with the other class",
        ".loadBalancerClass",
        _FORBIDDEN,
    ),
]

_ANNOTATIONS = [
    _rule(
        f"self.all(k, k.matches('{_QUALIFIED}'))",
        "keys are names with an optional domain, such as example.com/name",
    ),
    _rule(
        "self.all(k, !k.startsWith('liveconnect.io/'))",
        "annotations of liveconnect.io/ are the operator's own",
        reason=_FORBIDDEN,
    ),
]

_FILTER = [
    _rule(
        "!self.startsWith('$')",
        "topics that begin with $ are the broker's own",
    ),
    _rule(
        "self.matches('^([^#]*/)?#?$') || !self.contains('#')",
        "`#` stands alone, and only in the last level: orders/#",
    ),
    _rule(
        "!self.matches('[^/][+]|[+][^/]')",
        "`+` stands alone in its level: orders/+/status",
    ),
    _rule("!self.matches('[[:cntrl:]]')", "no control characters in a topic filter"),
]

_PLACEHOLDERS = [
    _rule(
        "self.matches('^([^{}]|[{](clientId|claims[.][^{}/+#]+)[}])*$')",
        "the placeholders are {clientId} and {claims.NAME}",
    ),
]

_NO_PLACEHOLDERS = [
    _rule(
        "!self.matches('[{}]')",
        "no placeholders here: a backend has no client id or claims of a device",
    ),
]

_DELEGATION = [
    _rule(
        "has(self.namespaces) || has(self.namespaceSelector)",
        "set namespaces or namespaceSelector: whose LiveConnectTopic objects are meant",
        ".namespaces",
        _REQUIRED,
    ),
    _rule(
        "!(has(self.namespaces) && has(self.namespaceSelector))",
        "not together with namespaces: set exactly one of the two",
        ".namespaceSelector",
        _FORBIDDEN,
    ),
]

_TOKENS = [
    _rule(
        "self.all(a, !has(a.jwt) || self.exists_one(b, "
        "(has(b.jwt) && b.jwt.issuer == a.jwt.issuer) || "
        "(has(b.introspection) && has(b.introspection.issuer) && "
        "b.introspection.issuer == a.jwt.issuer)))",
        "every provider needs an issuer of its own",
    ),
]

_PROVIDER = [
    _rule(
        "has(self.jwt) || has(self.introspection)",
        "set jwt or introspection: it says how the provider's tokens are checked",
        ".jwt",
        _REQUIRED,
    ),
    _rule(
        "!(has(self.jwt) && has(self.introspection))",
        "not together with jwt: make it a provider of its own in the list",
        ".introspection",
        _FORBIDDEN,
    ),
]

_JWT = [
    _rule(
        "has(self.jwksURI) || has(self.jwksSecretRef) || self.issuer.matches('^https?://')",
        "set jwksURI or jwksSecretRef: keys can be discovered only from an issuer that is a URL",
        ".jwksURI",
        _REQUIRED,
    ),
    _rule(
        "!(has(self.jwksURI) && has(self.jwksSecretRef))",
        "not together with jwksURI: set exactly one of the two",
        ".jwksSecretRef",
        _FORBIDDEN,
    ),
]

_STORE_SIZE = "(has({0}.managed) ? {0}.managed.storage.size : '1Gi')"
_STORE_CLASS = (
    "(has({0}.managed) && has({0}.managed.storage.storageClassName) ? "
    "{0}.managed.storage.storageClassName : '')"
)

_STORE = [
    _rule(
        "!(has(self.managed) && has(self.external))",
        "not together with managed: set either managed or external",
        ".external",
        _FORBIDDEN,
    ),
    # Also between `managed` that is not set and one that states what it would be anyway.
    *(
        _rule(
            f"has(self.external) || has(oldSelf.external) || {rule}",
            message,
            f".managed.storage.{field}",
            _FORBIDDEN,
        )
        for field, rule, message in (
            (
                "size",
                "quantity({}).compareTo(quantity({})) >= 0".format(
                    _STORE_SIZE.format("self"), _STORE_SIZE.format("oldSelf")
                ),
                _NO_SHRINKING,
            ),
            (
                "storageClassName",
                f"{_STORE_CLASS.format('self')} == {_STORE_CLASS.format('oldSelf')}",
                _NO_OTHER_CLASS,
            ),
        )
    ),
]

#: Rules of `LiveConnectCluster` by the path of the schema that they belong to; `[]` stands for
#: the items of a list.
RULES: dict[str, list[Rule]] = {
    "": _NAME,
    "spec": _SPEC,
    "spec.broker.config": _CONFIG,
    "spec.publishers.resources": _RESOURCES,
    "spec.publishers.tls": [
        _rule(
            "!has(self.clientCASecretName) || has(self.gatewaySecretName)",
            "with clientCASecretName the gateway needs a certificate, too: set gatewaySecretName",
            ".gatewaySecretName",
            _REQUIRED,
        ),
    ],
    "spec.publishers.storage": _STORAGE,
    "spec.subscribers": _SUBSCRIBERS,
    "spec.subscribers.autoscaling": _AUTOSCALING,
    "spec.subscribers.listeners": _LISTENERS,
    "spec.subscribers.listeners[]": [*_LISTENER, *_LISTENER_TLS],
    "spec.subscribers.service": _SERVICE,
    "spec.subscribers.service.annotations": _ANNOTATIONS,
    "spec.subscribers.service.loadBalancerSourceRanges[]": [
        _rule("isCIDR(self)", "an address range such as 10.0.0.0/8 or 2001:db8::/32"),
    ],
    "spec.subscribers.resources": _RESOURCES,
    "spec.subscribers.storage": _STORAGE,
    "spec.auth.resources": _RESOURCES,
    "spec.auth.tokens": _TOKENS,
    "spec.auth.tokens[]": _PROVIDER,
    "spec.auth.tokens[].jwt": _JWT,
    "spec.auth.topics[].filter": [*_FILTER, *_PLACEHOLDERS],
    "spec.auth.delegations[]": _DELEGATION,
    "spec.auth.delegations[].filters[]": [*_FILTER, *_PLACEHOLDERS],
    "spec.presence.store": _STORE,
    "spec.presence.store.managed.resources": _RESOURCES,
    "spec.gateway.resources": _RESOURCES,
    "spec.gateway.outbox.storage": _STORAGE,
    "spec.gateway.requests": [
        _rule(
            "self.topic != self.replyTopic",
            "requests and answers need topics of their own: choose another replyTopic",
            ".replyTopic",
        ),
    ],
    "spec.gateway.callers[].publish[]": [*_FILTER, *_NO_PLACEHOLDERS],
    **POD_TEMPLATE_RULES,
}

#: The same of `LiveConnectTopic`.
TOPIC_RULES: dict[str, list[Rule]] = {
    "spec.rules[].filter": [*_FILTER, *_PLACEHOLDERS],
}
