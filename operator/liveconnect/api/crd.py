"""The CRD, generated from the models (`make generate`).

pydantic's JSON Schema becomes a structural schema: references are inlined, `anyOf null` and null
defaults go, nested objects get the default `{}` (or API-server defaulting would stop there).
"""

from __future__ import annotations

from typing import Any

from liveconnect.api.cel import RULES
from liveconnect.api.podrules import POD_TEMPLATE_LISTS
from liveconnect.api.v1alpha1 import GROUP, KIND, PLURAL, VERSION, Spec, Status

Schema = dict[str, Any]

NAME = f"{PLURAL}.{GROUP}"
_KEPT = (
    "type", "description", "enum", "pattern", "format", "minimum", "maximum", "minLength",
    "maxLength", "minItems", "maxItems", "maxProperties", "required", "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
)  # fmt: skip
#: Lists that are maps or sets for server-side apply, by path: so several writers can share them,
#: and the API server refuses duplicates.
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
    "spec.gateway.callers[].publish",
    "spec.publishers.allowedNamespaces",
    "spec.subscribers.service.loadBalancerSourceRanges",
}
_DEFAULTS_WRITTEN_OUT = {"resources", "service", "storage"}
#: What `kubectl get` shows before an operator has looked at the object.
_WAITING = {
    "conditions": [
        {
            "type": "Ready",
            "status": "Unknown",
            "reason": "Waiting",
            "message": "waiting for the LiveConnect operator",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        }
    ]
}


def _structural(node: Schema, defs: Schema, path: str) -> Schema:
    """One node of a pydantic schema as a structural schema."""
    node = _resolve(node, defs)
    out: Schema = {key: node[key] for key in _KEPT if key in node}
    if "description" in out:
        out["description"] = " ".join(out["description"].split())
    if path in RULES and out.get("type") == "string":
        out.pop("pattern", None)  # the rules say the same, and what to do
    out.update(_children(node, defs, path))
    if node.get("default") is not None:
        out["default"] = _default(node["default"], path)
    return {**out, **_extensions(path)}


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


def _children(node: Schema, defs: Schema, path: str) -> Schema:
    """What the node holds: fields, items or values."""
    out: Schema = {}
    if "properties" in node:
        out["properties"] = {
            name: _structural(child, defs, f"{path}.{name}")
            for name, child in node["properties"].items()
        }
    if "items" in node:
        out["items"] = _structural(node["items"], defs, f"{path}[]")
    if isinstance(node.get("additionalProperties"), dict):
        out["additionalProperties"] = _structural(node["additionalProperties"], defs, f"{path}{{}}")
    return out


def _extensions(path: str) -> Schema:
    """Kubernetes' own words about the node at this path."""
    out: Schema = {}
    if path in LIST_MAPS:
        out["x-kubernetes-list-type"] = "map"
        out["x-kubernetes-list-map-keys"] = LIST_MAPS[path]
    if path in LIST_SETS:
        out["x-kubernetes-list-type"] = "set"
    if path in RULES:
        out["x-kubernetes-validations"] = RULES[path]
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


def _columns() -> list[Schema]:
    def column(name: str, path: str, kind: str = "string", **extra: Any) -> Schema:
        return {"name": name, "jsonPath": path, "type": kind, **extra}

    ready = '.status.conditions[?(@.type=="Ready")]'
    return [
        column("Ready", f"{ready}.status"),
        column("Publishers", ".status.publishers.summary"),
        column("Subscribers", ".status.subscribers.summary"),
        column("Clients", ".status.clients", "integer"),
        column("Rate", ".status.rate", description="CONNECT packets a minute"),
        column("Age", ".metadata.creationTimestamp", "date"),
        column("Endpoint", ".status.endpoints.subscribers", priority=1),
        column("Version", ".spec.broker.image", priority=1),
        column("Message", f"{ready}.message", priority=1),
    ]


def crd() -> Schema:
    """The CustomResourceDefinition."""
    spec_schema = Spec.model_json_schema()
    status_schema = Status.model_json_schema()
    spec = _structural(spec_schema, spec_schema.get("$defs", {}), "spec")
    status = _structural(status_schema, status_schema.get("$defs", {}), "status")
    status["default"] = _WAITING
    schema: Schema = {
        "type": "object",
        "description": "LiveConnect: a split VerneMQ cluster with auth service and gateway.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
        "x-kubernetes-validations": RULES[""],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": NAME,
            "labels": {"app.kubernetes.io/name": "liveconnect-operator"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["liveconnect", "lcc"],
                "categories": ["all", "messaging"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.subscribers.replicas",
                            "statusReplicasPath": ".status.subscribers.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "additionalPrinterColumns": _columns(),
                }
            ],
        },
    }
