"""The CRD, generated from the models (`make generate`).

pydantic's JSON Schema becomes a structural schema: references are inlined, `anyOf null` and null
defaults go, nested objects get the default `{}` (or API-server defaulting would stop there).
"""

from __future__ import annotations

from typing import Any

from liveconnect.api.cel import RULES, TOPIC_RULES
from liveconnect.api.podrules import POD_TEMPLATE_LISTS
from liveconnect.api.rule import Rule
from liveconnect.api.v1alpha1 import (
    GROUP,
    KIND,
    PLURAL,
    TOPIC_KIND,
    TOPIC_PLURAL,
    VERSION,
    ApiModel,
    Spec,
    Status,
    TopicSpec,
    TopicStatus,
)

Schema = dict[str, Any]
_Rules = dict[str, list[Rule]]

NAME = f"{PLURAL}.{GROUP}"
TOPIC_NAME = f"{TOPIC_PLURAL}.{GROUP}"
_KEPT = (
    "type", "description", "enum", "pattern", "format", "minimum", "maximum", "multipleOf",
    "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "required",
    "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields",
)  # fmt: skip
#: Lists that are maps or sets for server-side apply, by path (which no two kinds have in common
#: but for the conditions): so several writers can share them, and the API server refuses
#: duplicates.
LIST_MAPS = {
    **POD_TEMPLATE_LISTS,
    "spec.broker.imagePullSecrets": ["name"],
    "spec.subscribers.listeners": ["name"],
    "status.conditions": ["type"],
    "status.nodes": ["name"],
    "status.certificates": ["field"],
}
LIST_SETS = {
    "spec.auth.tokens[].jwt.audiences",
    "spec.auth.tokens[].jwt.algorithms",
    "spec.auth.tokens[].introspection.audiences",
    "spec.auth.topics[].allow",
    "spec.auth.topics[].groups",
    "spec.auth.delegations[].namespaces",
    "spec.auth.delegations[].filters",
    "spec.auth.delegations[].allow",
    "spec.rules[].allow",
    "spec.rules[].groups",
    "spec.gateway.callers[].publish",
    "spec.publishers.allowedNamespaces",
    "spec.subscribers.service.loadBalancerSourceRanges",
}
_DEFAULTS_WRITTEN_OUT = {"resources", "service", "storage"}


def _waiting(condition: str) -> Schema:
    """What `kubectl get` shows before an operator has looked at the object."""
    return {
        "conditions": [
            {
                "type": condition,
                "status": "Unknown",
                "reason": "Waiting",
                "message": "waiting for the LiveConnect operator",
                "lastTransitionTime": "1970-01-01T00:00:00Z",
            }
        ]
    }


def _structural(node: Schema, defs: Schema, path: str, rules: _Rules) -> Schema:
    """One node of a pydantic schema as a structural schema."""
    node = _resolve(node, defs)
    out: Schema = {key: node[key] for key in _KEPT if key in node}
    if "description" in out:
        out["description"] = " ".join(out["description"].split())
    if path in rules and out.get("type") == "string":
        out.pop("pattern", None)  # the rules say the same, and what to do
    out.update(_children(node, defs, path, rules))
    if node.get("default") is not None:
        out["default"] = _default(node["default"], path)
    return {**out, **_extensions(path, rules)}


def _default(value: Any, path: str) -> Any:
    """The default of the node at this path.

    `{}` lets each field inside default by itself. Written out only where rules read those fields:
    the API server tries the rules on the default as it stands.
    """
    if isinstance(value, dict) and path.rpartition(".")[2] not in _DEFAULTS_WRITTEN_OUT:
        return {}
    return _without_nulls(value)


def _without_nulls(value: Any) -> Any:
    """Fields that are not set are not there at all."""
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value


def _children(node: Schema, defs: Schema, path: str, rules: _Rules) -> Schema:
    """What the node holds: fields, items or values."""
    out: Schema = {}
    if "properties" in node:
        out["properties"] = {
            name: _structural(child, defs, f"{path}.{name}", rules)
            for name, child in node["properties"].items()
        }
    if "items" in node:
        out["items"] = _structural(node["items"], defs, f"{path}[]", rules)
    if isinstance(node.get("additionalProperties"), dict):
        values = node["additionalProperties"]
        out["additionalProperties"] = _structural(values, defs, f"{path}{{}}", rules)
    return out


def _extensions(path: str, rules: _Rules) -> Schema:
    """Kubernetes' own words about the node at this path."""
    out: Schema = {}
    if path in LIST_MAPS:
        out["x-kubernetes-list-type"] = "map"
        out["x-kubernetes-list-map-keys"] = LIST_MAPS[path]
    if path in LIST_SETS:
        out["x-kubernetes-list-type"] = "set"
    if path in rules:
        out["x-kubernetes-validations"] = rules[path]
    return out


def _resolve(node: Schema, defs: Schema) -> Schema:
    """Follow `$ref`, unwrap `anyOf [x, null]` and int-or-string."""
    extra = {k: v for k, v in node.items() if k not in {"$ref", "anyOf"}}
    if "$ref" in node:
        return {**_resolve(defs[node["$ref"].rsplit("/", 1)[1]], defs), **extra}
    if "anyOf" in node:
        real = [option for option in node["anyOf"] if option.get("type") != "null"]
        if len(real) == 1:
            return {**_resolve(real[0], defs), **extra}
        text = next(option for option in real if option.get("type") == "string")
        return {**{k: v for k, v in text.items() if k != "type"}, **extra}
    return node


def _column(name: str, path: str, kind: str = "string", **extra: Any) -> Schema:
    return {"name": name, "jsonPath": path, "type": kind, **extra}


def _condition(name: str) -> str:
    return f'.status.conditions[?(@.type=="{name}")]'


def _columns() -> list[Schema]:
    ready = _condition("Ready")
    return [
        _column("Ready", f"{ready}.status"),
        _column("Publishers", ".status.publishers.summary"),
        _column("Subscribers", ".status.subscribers.summary"),
        _column("Clients", ".status.clients", "integer"),
        _column("Rate", ".status.rate", description="CONNECT packets a minute"),
        _column("Age", ".metadata.creationTimestamp", "date"),
        _column("Endpoint", ".status.endpoints.subscribers", priority=1),
        _column("Version", ".spec.broker.image", priority=1),
        _column(
            "Skew",
            ".status.subscribers.skew",
            priority=1,
            description="connections of the fullest subscriber by the mean",
        ),
        _column("Message", f"{ready}.message", priority=1),
    ]


def _topic_columns() -> list[Schema]:
    accepted = _condition("Accepted")
    return [
        _column("Cluster", ".spec.cluster.name"),
        _column("Accepted", f"{accepted}.status"),
        _column("InForce", f"{_condition('InForce')}.status"),
        _column("Reason", f"{accepted}.reason"),
        _column("Age", ".metadata.creationTimestamp", "date"),
        _column("Message", f"{accepted}.message", priority=1),
    ]


def _part(model: type[ApiModel], path: str, rules: _Rules) -> Schema:
    """The schema of `spec` or `status`."""
    schema = model.model_json_schema()
    return _structural(schema, schema.get("$defs", {}), path, rules)


def _root(description: str, spec: Schema, status: Schema) -> Schema:
    return {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
    }


def _definition(name: str, names: Schema, version: Schema) -> Schema:
    kind = names["kind"]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/name": "liveconnect-operator"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": names["plural"],
                "singular": kind.lower(),
                "shortNames": names["shortNames"],
                "categories": names["categories"],
            },
            "versions": [{"name": VERSION, "served": True, "storage": True, **version}],
        },
    }


def crd() -> Schema:
    """The CustomResourceDefinition of `LiveConnectCluster`."""
    status = _part(Status, "status", RULES)
    status["default"] = _waiting("Ready")
    root = _root(
        "LiveConnect: a split VerneMQ cluster with auth service and gateway.",
        _part(Spec, "spec", RULES),
        status,
    )
    return _definition(
        NAME,
        {
            "kind": KIND,
            "plural": PLURAL,
            "shortNames": ["liveconnect", "lcc"],
            "categories": ["all", "messaging"],
        },
        {
            "schema": {"openAPIV3Schema": {**root, "x-kubernetes-validations": RULES[""]}},
            "subresources": {
                "status": {},
                "scale": {
                    "specReplicasPath": ".spec.subscribers.replicas",
                    "statusReplicasPath": ".status.subscribers.replicas",
                    "labelSelectorPath": ".status.selector",
                },
            },
            "additionalPrinterColumns": _columns(),
        },
    )


def topic_crd() -> Schema:
    """The CustomResourceDefinition of `LiveConnectTopic`."""
    status = _part(TopicStatus, "status", TOPIC_RULES)
    status["default"] = _waiting("Accepted")
    root = _root(
        "Topic rules of a LiveConnectCluster that an application's team owns.",
        _part(TopicSpec, "spec", TOPIC_RULES),
        status,
    )
    return _definition(
        TOPIC_NAME,
        {
            "kind": TOPIC_KIND,
            "plural": TOPIC_PLURAL,
            "shortNames": ["lct"],
            "categories": ["messaging"],
        },
        {
            "schema": {"openAPIV3Schema": root},
            "subresources": {"status": {}},
            "additionalPrinterColumns": _topic_columns(),
        },
    )
