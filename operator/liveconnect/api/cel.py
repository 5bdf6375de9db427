"""Rules that cross fields, as CEL in the CRD: no admission webhook, no certificate is needed."""

from __future__ import annotations

from liveconnect.api.v1alpha1 import MAX_NAME_LENGTH, OPERATOR_OWNED_CONFIG, RESERVED_PORTS

Rule = dict[str, str]

_OWNED = ", ".join(f"'{name}'" for name in OPERATOR_OWNED_CONFIG)
_RESERVED = ", ".join(str(port) for port in RESERVED_PORTS)


def _rule(rule: str, message: str, field_path: str | None = None) -> Rule:
    path = {"fieldPath": field_path} if field_path else {}
    return {"rule": rule, "message": message, **path}


#: Rules by the path of the schema that they belong to; `[]` stands for the items of a list.
RULES: dict[str, list[Rule]] = {
    "": [
        _rule(
            f"self.metadata.name.size() <= {MAX_NAME_LENGTH}",
            f"metadata.name: at most {MAX_NAME_LENGTH} characters: pods are named after it",
        ),
        _rule(
            "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            "metadata.name: a DNS label that begins with a letter, Services are named after it",
        ),
    ],
    "spec": [
        _rule(
            "self.broker.acceptEULA || "
            "!self.broker.image.matches('^(docker[.]io/)?vernemq/vernemq([:@].*)?$')",
            "VerneMQ's own images are under an end user licence agreement: read it and set "
            "spec.broker.acceptEULA: true, or use an image that you built",
            ".broker.acceptEULA",
        ),
    ],
    "spec.broker.config": [
        _rule(
            f"self.all(k, ![{_OWNED}].exists(o, k.startsWith(o)))",
            "spec.broker.config: this key is rendered by the operator (listeners, plugins, "
            "webhooks, node name, cookie, anonymous access, netsplit switches); remove it",
        ),
        _rule(
            "self.all(k, k.matches('^[a-z][a-zA-Z0-9_.$-]*$') && !self[k].matches('[\\\\r\\\\n]'))",
            "spec.broker.config: keys are names as in vernemq.conf, values are one line",
        ),
    ],
    "spec.subscribers": [
        _rule(
            "!(has(self.replicas) && has(self.autoscaling))",
            "spec.subscribers: set either replicas or autoscaling, not both",
            ".replicas",
        ),
    ],
    "spec.subscribers.autoscaling": [
        _rule(
            "self.minReplicas <= self.maxReplicas",
            "spec.subscribers.autoscaling: minReplicas must not exceed maxReplicas",
            ".minReplicas",
        ),
    ],
    "spec.subscribers.listeners": [
        _rule(
            "self.all(a, self.exists_one(b, b.port == a.port))",
            "spec.subscribers.listeners: every listener needs a port of its own",
        ),
        _rule(
            f"self.all(l, !(l.port in [{_RESERVED}]))",
            f"spec.subscribers.listeners: ports {_RESERVED} belong to the broker itself",
        ),
        _rule(
            "self.all(l, !(l.name in ['http', 'clustering', 'epmd']))",
            "spec.subscribers.listeners: the names http, clustering and epmd are the broker's own",
        ),
    ],
    "spec.publishers.storage": [
        _rule(
            "self == oldSelf",
            "spec.publishers.storage cannot be changed yet: make a new cluster object instead",
        ),
    ],
    "spec.subscribers.storage": [
        _rule(
            "self == oldSelf",
            "spec.subscribers.storage cannot be changed yet: make a new cluster object instead",
        ),
    ],
    "spec.auth.tokens": [
        _rule(
            "self.all(a, self.exists_one(b, b.jwt.issuer == a.jwt.issuer))",
            "spec.auth.tokens: every provider needs an issuer of its own",
        ),
    ],
    "spec.auth.tokens[].jwt": [
        _rule(
            "has(self.jwksURI) != has(self.jwksSecretRef)",
            "spec.auth.tokens[].jwt: set exactly one of jwksURI and jwksSecretRef",
            ".jwksURI",
        ),
    ],
    "spec.presence.store": [
        _rule(
            "!(has(self.managed) && has(self.external))",
            "spec.presence.store: set either managed or external, not both",
            ".managed",
        ),
    ],
}
