"""The CRD is structural, explained, and its rules stand where they were meant to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from liveconnect.api import cel, crd
from liveconnect.api.rule import Rule

Node = dict[str, Any]
_DEFINITION = crd.crd()
_VERSION = _DEFINITION["spec"]["versions"][0]
_ROOT: Node = _VERSION["schema"]["openAPIV3Schema"]


def nodes(path: str, node: Node) -> Iterator[tuple[str, Node]]:
    """Every schema below, with its path."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(f"{path}.{name}" if path else name, child)
    if "items" in node:
        yield from nodes(f"{path}[]", node["items"])
    if "additionalProperties" in node:
        yield from nodes(f"{path}{{}}", node["additionalProperties"])


_NODES = dict(nodes("", _ROOT))
_TOPIC_VERSION = crd.topic_crd()["spec"]["versions"][0]
_TOPIC_NODES = dict(nodes("", _TOPIC_VERSION["schema"]["openAPIV3Schema"]))
_KINDS = pytest.mark.parametrize("found", [_NODES, _TOPIC_NODES], ids=["cluster", "topic"])
_PATHS = [
    *((_NODES, cel.RULES, path) for path in sorted(cel.RULES)),
    *((_TOPIC_NODES, cel.TOPIC_RULES, path) for path in sorted(cel.TOPIC_RULES)),
]


@_KINDS
def test_the_schema_is_structural(found: dict[str, Node]) -> None:
    """No references, unions or titles; every node says its type."""
    for path, node in found.items():
        assert not {"$ref", "$defs", "anyOf", "allOf", "oneOf", "title"} & node.keys(), path
        assert ("type" in node) != bool(node.get("x-kubernetes-int-or-string")), path


@_KINDS
def test_every_field_is_described(found: dict[str, Node]) -> None:
    own = {"", "apiVersion", "kind", "metadata", "spec", "status"}
    fields = {p for p in found if p and not p.endswith(("[]", "{}"))} - own
    assert [path for path in sorted(fields) if not found[path].get("description")] == []


@_KINDS
def test_objects_default_to_what_is_inside(found: dict[str, Node]) -> None:
    """A nested object without a default would stop the API server's defaulting."""
    for path, node in found.items():
        required = set(node.get("required", []))
        for name, child in node.get("properties", {}).items():
            where = f"{path}.{name}" if path else name
            if child.get("type") == "object" and child.get("properties") and name not in required:
                optional = (
                    where
                    in {
                        "spec.subscribers.autoscaling",
                        "spec.subscribers.listeners[].tls",
                        "spec.publishers.tls",
                        "spec.auth.tls",
                        "spec.gateway.tls",
                        "spec.auth.connects.priority",
                        "spec.auth.tokens[].jwt",
                        "spec.auth.tokens[].jwt.jwksSecretRef",
                        "spec.auth.tokens[].introspection",
                        "spec.auth.delegations[].namespaceSelector",
                        "spec.presence.store.managed",
                        "spec.presence.store.external",
                        "spec.gateway.requests",
                        "spec.presence.webhook",
                        "spec.presence.webhook.caSecretRef",
                        "spec.presence.webhook.signingSecretRef",
                        "spec.presence.webhook.bearerSecretRef",
                        "spec.presence.store.external.caSecretRef",
                    }
                    or where.startswith("status")
                    or where.endswith("Probe")
                )
                assert optional or "default" in child, where


@pytest.mark.parametrize(("found", "rules", "path"), _PATHS, ids=[path for *_, path in _PATHS])
def test_rules_stand_in_the_schema(
    found: dict[str, Node], rules: dict[str, list[Rule]], path: str
) -> None:
    """A rule of a misspelt path would be no rule at all."""
    node = found[path]
    assert node["x-kubernetes-validations"] == rules[path]
    for rule in rules[path]:
        assert "\n" not in rule["message"]
        field = rule.get("fieldPath", "").removeprefix(".")
        assert not field or f"{path}.{field}" in found


@pytest.mark.parametrize("path", sorted(crd.LIST_MAPS) + sorted(crd.LIST_SETS))
def test_shared_lists_stand_in_the_schema(path: str) -> None:
    node = {**_TOPIC_NODES, **_NODES}[path]
    kind = node["x-kubernetes-list-type"]
    if kind == "map":
        keys = set(node["x-kubernetes-list-map-keys"])
        assert keys <= set(node["items"]["required"])
    else:
        assert node["items"]["type"] == "string"


@_KINDS
def test_lists_maps_and_texts_of_the_spec_are_bounded(found: dict[str, Node]) -> None:
    """The API server's cost budget for rules counts on it."""
    for path, node in found.items():
        if not path.startswith("spec"):
            continue
        if node.get("type") == "array":
            assert "maxItems" in node, path
        if "additionalProperties" in node:
            assert "maxProperties" in node, path
        if node.get("type") == "string" and "enum" not in node:
            bounded = "maxLength" in node or re.search(r"\{0,\d+\}", node.get("pattern", ""))
            assert bounded, path


def test_client_side_apply_can_carry_it() -> None:
    """`kubectl apply` without `--server-side` keeps a copy in an annotation of 256 KiB at most."""
    assert len(json.dumps(_DEFINITION)) < 262_144


def test_scale_and_columns_read_fields_that_exist() -> None:
    paths = [
        *_VERSION["subresources"]["scale"].values(),
        *(column["jsonPath"] for column in _VERSION["additionalPrinterColumns"]),
    ]
    for path in paths:
        if path.startswith(".metadata"):
            continue
        plain = re.sub(r"\[\?\(.*?\)\]", "[]", path).removeprefix(".")
        assert plain in _NODES, path


def test_the_columns_of_topics_read_fields_that_exist() -> None:
    columns = _TOPIC_VERSION["additionalPrinterColumns"]
    for column in columns:
        plain = re.sub(r"\[\?\(.*?\)\]", "[]", column["jsonPath"]).removeprefix(".")
        assert plain in _TOPIC_NODES or plain.startswith("metadata.")
    assert [c["name"] for c in columns if not c.get("priority")] == [
        "Cluster", "Accepted", "InForce", "Reason", "Age",
    ]  # fmt: skip


def test_the_columns() -> None:
    columns = _VERSION["additionalPrinterColumns"]
    assert [c["name"] for c in columns if not c.get("priority")] == [
        "Ready", "Publishers", "Subscribers", "Clients", "Rate", "Age",
    ]  # fmt: skip
    assert [c["name"] for c in columns if c.get("priority")] == [
        "Endpoint",
        "Version",
        "Skew",
        "Message",
    ]


def test_the_definition_is_the_same_every_time() -> None:
    assert json.dumps(crd.crd()) == json.dumps(_DEFINITION)
