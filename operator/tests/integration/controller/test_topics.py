"""Application teams' topic objects against a real API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.controller.conftest import Eventually, Kube, Operator, namespaced
from tests.integration.controller.test_reconcile import cluster

pytestmark = pytest.mark.integration


@pytest.fixture
def team(kube: Kube) -> Iterator[Kube]:
    """A team with a namespace of its own."""
    name = f"{kube.namespace[:50]}-team"
    with namespaced(kube.plane, name) as other:
        yield other


def delegating(team: Kube, *filters: str, **more: Any) -> dict[str, Any]:
    delegation = {"namespaces": [team.namespace], "filters": list(filters), **more}
    delegation.setdefault("allow", ["subscribe", "publish"])
    jwt = cluster()["spec"]["auth"]["tokens"]
    own = [{"filter": "news/#", "allow": ["subscribe"]}]
    return cluster(auth={"tokens": jwt, "topics": own, "delegations": [delegation]})


def topic(kube: Kube, *filters: str, name: str = "orders", of: str = "demo") -> dict[str, Any]:
    return {
        "apiVersion": "liveconnect.io/v1alpha1",
        "kind": "LiveConnectTopic",
        "metadata": {"name": name},
        "spec": {
            "cluster": {"namespace": kube.namespace, "name": of},
            "rules": [{"filter": text, "allow": ["subscribe"]} for text in filters],
        },
    }


def rules(kube: Kube) -> list[str]:
    """Filters that the auth service is given."""
    config = json.loads(kube.get("configmap", "demo-auth")["data"]["config.json"])
    return [rule["filter"] for rule in config["topics"]]


def told(team: Kube, kind: str = "Accepted", name: str = "orders") -> tuple[str, str, str]:
    conditions = team.get("lct", name)["status"]["conditions"]
    found = next(c for c in conditions if c["type"] == kind)
    return found["status"], found["reason"], found["message"]


def test_a_teams_rules_come_change_and_go(kube: Kube, team: Kube, eventually: Eventually) -> None:
    kube.apply(delegating(team, "shop/#"))
    eventually(lambda: rules(kube) == ["news/#"])
    team.apply(topic(kube, "shop/{claims.sub}/+"))
    eventually(lambda: rules(kube) == ["news/#", "shop/{claims.sub}/+"])
    assert eventually(lambda: (t := told(team))[0] == "True" and t)[1] == "Accepted"
    assert told(team, "InForce")[1] == "Applying"
    team.apply(topic(kube, "shop/a", "shop/b"))
    eventually(lambda: rules(kube) == ["news/#", "shop/a", "shop/b"])
    eventually(lambda: team.get("lct", "orders")["status"]["rules"] == 2)
    team("delete", "lct", "orders")
    eventually(lambda: rules(kube) == ["news/#"])


def test_what_is_not_delegated_is_refused_and_in_force_once_it_is(
    kube: Kube, team: Kube, eventually: Eventually
) -> None:
    kube.apply(delegating(team, "rides/#"))
    team.apply(topic(kube, "shop/a"))
    condition = eventually(lambda: (t := told(team))[1] == "NotDelegated" and t)
    assert condition[0] == "False"
    assert "rules[0] (shop/a): subscribe lies outside" in condition[2]
    assert told(team, "InForce")[:2] == ("False", "NotAccepted")
    assert rules(kube) == ["news/#"]
    kube.apply(delegating(team, "shop/#"))
    eventually(lambda: rules(kube) == ["news/#", "shop/a"])
    eventually(lambda: told(team)[0] == "True")
    kube.apply(delegating(team, "shop/#", allow=["publish"]))
    eventually(lambda: rules(kube) == ["news/#"])
    eventually(lambda: told(team)[:2] == ("False", "NotDelegated"))


def test_a_delegation_by_label_follows_the_namespace(
    kube: Kube, team: Kube, eventually: Eventually
) -> None:
    spec = delegating(team, "shop/#")
    delegation = spec["spec"]["auth"]["delegations"][0]
    del delegation["namespaces"]
    delegation["namespaceSelector"] = {"matchLabels": {"team": kube.namespace}}
    kube.apply(spec)
    team.apply(topic(kube, "shop/a"))
    eventually(lambda: told(team)[1] == "NotDelegated")
    label = ("label", "namespace", team.namespace, "--overwrite")
    kube.plane.kubectl(*label, f"team={kube.namespace}")
    eventually(lambda: rules(kube) == ["news/#", "shop/a"])
    kube.plane.kubectl(*label, "team=other")
    eventually(lambda: rules(kube) == ["news/#"])


def test_the_older_of_two_that_contradict_each_other_stays(
    kube: Kube, team: Kube, eventually: Eventually
) -> None:
    kube.apply(delegating(team, "shop/#"))
    team.apply(topic(kube, "shop/a", name="one"))
    eventually(lambda: told(team, name="one")[0] == "True")
    second = topic(kube, "shop/a", name="another")
    second["spec"]["rules"][0]["maxQoS"] = 0
    team.apply(second)
    created = {
        name: team.get("lct", name)["metadata"]["creationTimestamp"] for name in ("one", "another")
    }
    older = "one" if created["one"] < created["another"] else "another"
    younger = {"one": "another", "another": "one"}[older]
    message = eventually(lambda: (t := told(team, name=younger))[1] == "Conflicted" and t[2])
    assert f"LiveConnectTopic {team.namespace}/{older} rules[0]" in message
    assert rules(kube) == ["news/#", "shop/a"]
    team("delete", "lct", older)
    eventually(lambda: told(team, name=younger)[0] == "True")


def test_a_cluster_that_is_not_there_is_said(
    kube: Kube, team: Kube, eventually: Eventually
) -> None:
    team.apply(topic(kube, "shop/a"))
    message = eventually(lambda: (t := told(team))[1] == "ClusterNotFound" and t[2])
    assert f"no LiveConnectCluster demo in namespace {kube.namespace}" in message
    kube.apply(delegating(team, "shop/#"))
    eventually(lambda: told(team)[0] == "True")
    kube("delete", "lcc", "demo")
    eventually(lambda: told(team)[1] == "ClusterNotFound")


def test_a_restarted_operator_takes_no_rule_away_meanwhile(
    kube: Kube, team: Kube, eventually: Eventually, operator_process: Operator
) -> None:
    kube.apply(delegating(team, "shop/#"))
    team.apply(topic(kube, "shop/a"))
    eventually(lambda: rules(kube) == ["news/#", "shop/a"])
    eventually(lambda: told(team)[0] == "True")
    eventually(lambda: "of 2 pods" in str(team.get("lct", "orders")["status"]), within=30)
    version = kube.get("configmap", "demo-auth")["metadata"]["resourceVersion"]
    seen = team.get("lct", "orders")["metadata"]["resourceVersion"]
    operator_process.kill()
    operator_process.start()
    # Any write of the new operator's: it has made a pass with what it knew at its start.
    kube("delete", "configmap", "demo-gateway")
    eventually(lambda: kube.get("configmap", "demo-gateway"), within=30)
    assert kube.get("configmap", "demo-auth")["metadata"]["resourceVersion"] == version
    assert team.get("lct", "orders")["metadata"]["resourceVersion"] == seen


def test_the_deployment_is_not_rolled_by_rules(
    kube: Kube, team: Kube, eventually: Eventually
) -> None:
    kube.apply(delegating(team, "shop/#"))
    before = eventually(lambda: kube.get("deployment", "demo-auth")["metadata"]["generation"])
    team.apply(topic(kube, "shop/a"))
    eventually(lambda: rules(kube) == ["news/#", "shop/a"])
    changed = delegating(team, "shop/#")
    changed["spec"]["auth"]["topics"] = []
    kube.apply(changed)
    eventually(lambda: rules(kube) == ["shop/a"])
    assert kube.get("deployment", "demo-auth")["metadata"]["generation"] == before


def test_kubectl_shows_what_became_of_them(kube: Kube, team: Kube, eventually: Eventually) -> None:
    kube.apply(delegating(team, "rides/#"))
    team.apply(topic(kube, "shop/a"))
    eventually(lambda: told(team)[1] == "NotDelegated")
    head, row = team("get", "lct").splitlines()
    assert head.split() == ["NAME", "CLUSTER", "ACCEPTED", "INFORCE", "REASON", "AGE"]
    assert row.split()[:5] == ["orders", "demo", "False", "False", "NotDelegated"]
