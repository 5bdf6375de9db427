"""The operator may do what it does, and nothing else."""

from __future__ import annotations

import pytest
import yaml

from hack.golden import cluster_samples, rendered, sample_cluster
from hack.rbac import ELECTION, TABLE, election_yaml, rules_yaml
from liveconnect.controller.adapters.kube import PLURALS
from liveconnect.controller.handlers.registry import CHILDREN

_APPLY = {"get", "list", "watch", "create", "patch", "delete"}
_ALLOWED = {
    (group, resource, verb)
    for group, resources, verbs, _ in TABLE
    for resource in resources
    for verb in verbs
}


def rendered_kinds() -> set[tuple[str, str]]:
    """Group and plural of everything that the operator makes for the samples."""
    return {
        (group if slash else "", PLURALS[manifest["kind"]])
        for sample in cluster_samples()
        for manifest in rendered(sample_cluster(sample))
        for group, slash, _ in (manifest["apiVersion"].partition("/"),)
    }


@pytest.mark.parametrize(("group", "resource"), sorted(rendered_kinds()))
def test_every_child_can_be_applied_and_pruned(group: str, resource: str) -> None:
    assert {verb for g, r, verb in _ALLOWED if (g, r) == (group, resource)} == _APPLY


@pytest.mark.parametrize(("group", "version", "resource"), CHILDREN)
def test_whatever_is_watched_can_be_watched(group: str, version: str, resource: str) -> None:
    assert version == "v1"
    assert {(group, resource, "list"), (group, resource, "watch")} <= _ALLOWED


def test_nothing_is_permitted_that_nothing_needs() -> None:
    """Every row is about a child, something watched, or is named here with its reason."""
    needed = rendered_kinds() | {(group, resource) for group, _, resource in CHILDREN}
    further = {
        ("liveconnect.io", "liveconnectclusters"),
        ("liveconnect.io", "liveconnectclusters/status"),
        ("liveconnect.io", "liveconnectclusters/finalizers"),
        ("liveconnect.io", "liveconnecttopics"),
        ("liveconnect.io", "liveconnecttopics/status"),
        ("", "namespaces"),
        ("", "nodes"),
        ("storage.k8s.io", "storageclasses"),
        ("", "events"),
    }
    assert {(group, resource) for group, resource, _ in _ALLOWED} == needed | further


def test_no_wildcards_no_exec_no_escalation() -> None:
    for group, resource, verb in _ALLOWED:
        assert "*" not in {group, resource, verb}
        assert verb not in {"escalate", "bind", "impersonate", "deletecollection"}
        assert resource not in {"pods/exec", "pods/attach", "pods/portforward", "nodes/proxy"}
        assert resource != "nodes" or verb in {"get", "list", "watch"}
        assert group != "rbac.authorization.k8s.io"


def test_every_row_has_a_reason_that_the_reader_of_the_role_sees() -> None:
    text = rules_yaml()
    assert yaml.safe_load(text)
    for *_, why in TABLE:
        assert why
        assert f"# {why}\n" in text


def test_the_election_needs_one_lease_and_no_more() -> None:
    rules = yaml.safe_load(election_yaml())
    assert all(rule["resources"] == ["leases"] for rule in rules)
    # A `create` cannot be restricted to a name; everything else is.
    assert [rule["verbs"] for rule in rules if "resourceNames" not in rule] == [["create"]]
    assert {verb for *_, verbs, _ in ELECTION for verb in verbs} == {"create", "get", "update"}
