"""The reference speaks of every field and every rule."""

from __future__ import annotations

from liveconnect.api import cel, crd
from liveconnect.api.reference import reference
from tests.unit.api.test_crd import nodes

_TEXT = reference(crd.crd(), "kind: LiveConnectCluster\n")


def test_every_field_is_there() -> None:
    schema = crd.crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    fields = {path for path, _ in nodes("", schema) if not path.endswith(("[]", "{}"))}
    for path in fields - {"", "apiVersion", "kind", "metadata", "spec", "status"}:
        assert f"`{path}`" in _TEXT, path


def test_topics_have_a_reference_too() -> None:
    text = reference(crd.topic_crd(), "kind: LiveConnectTopic\n")
    for field in ("spec.cluster.namespace", "spec.rules[].filter", "status.rules"):
        assert f"`{field}`" in text
    for rules in cel.TOPIC_RULES.values():
        assert all(rule["message"] in text for rule in rules)
    assert "kubectl scale" not in text


def test_every_rule_is_there() -> None:
    for path, rules in cel.RULES.items():
        for rule in rules:
            assert not path or rule["message"] in _TEXT


def test_values_look_like_yaml() -> None:
    assert '`["RS256", "ES256"]`' in _TEXT
    assert "| boolean | `false` |" in _TEXT
    assert "kind: LiveConnectCluster\n```" in _TEXT


def test_tables_are_tables() -> None:
    rows = [line for line in _TEXT.splitlines() if line.startswith("| ")]
    assert {row.replace("\\|", "").count("|") for row in rows} == {5}
