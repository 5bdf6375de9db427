"""What becomes of topic objects, and what their owners are told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from liveconnect.api.operands import AuthConfig
from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.actions import Apply, Patch
from liveconnect.controller.model.manifest import Manifest
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import AuthPodView, Memory, Observed
from liveconnect.controller.planner.plan import plan
from liveconnect.controller.planner.topics import plan_topics, without_cluster
from tests.unit.common.policy.test_delegation import cluster, shops, stated
from tests.unit.planner.simulation import CREDENTIALS, SETTINGS

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = Names("demo", "platform")
OWNER = cluster(shops("shop/#"))


def body(*rules: dict[str, Any], name: str = "t", generation: int = 3, **more: Any) -> Manifest:
    return {
        "apiVersion": "liveconnect.io/v1alpha1",
        "kind": "LiveConnectTopic",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "generation": generation,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"cluster": {"namespace": "platform", "name": "demo"}, "rules": list(rules)},
        **more,
    }


def seen(*topics: Manifest, **more: Any) -> Observed:
    return Observed(topics=topics, **more)


def pods(**rules: str) -> tuple[AuthPodView, ...]:
    return tuple(
        AuthPodView(name=name, uid=name, ip="10.0.0.1", ready=True, rules=digest)
        for name, digest in rules.items()
    )


def conditions(status: Manifest) -> dict[str, tuple[str, str, str]]:
    return {c["type"]: (c["status"], c["reason"], c["message"]) for c in status["conditions"]}


def only_status(observed: Observed, owner: Cluster = OWNER) -> Manifest:
    ((_, status),) = plan_topics(owner, NAMES, observed, NOW).statuses
    return status


def digest(observed: Observed, owner: Cluster = OWNER) -> str:
    """Of the configuration that the operator writes for what it observes."""
    made = plan(owner, SETTINGS, CREDENTIALS, {}, observed, NOW)
    config = next(
        a.manifest["data"]["config.json"]
        for a in made.actions
        if isinstance(a, Apply)
        and (a.manifest["kind"], a.manifest["metadata"]["name"]) == ("ConfigMap", "demo-auth")
    )
    return AuthConfig.model_validate_json(config).rules_digest()


def test_rules_are_in_force_when_every_pod_applies_them() -> None:
    topic = body(stated("shop/a"), stated("shop/b"))
    wanted = digest(seen(topic))
    status = only_status(seen(topic, auth_pods=pods(a=wanted, b=wanted)))
    assert conditions(status) == {
        "Accepted": ("True", "Accepted", "all rules are within what is delegated"),
        "InForce": ("True", "Applied", "2 of 2 pods of the auth service apply them"),
    }
    assert status["rules"] == 2
    assert status["observedGeneration"] == 3


def test_until_then_they_are_on_their_way() -> None:
    topic = body(stated("shop/a"))
    wanted = digest(seen(topic))
    for applied, words in (
        ({}, "0 of 0"),
        ({"a": ""}, "0 of 1"),
        ({"a": wanted, "b": "other"}, "1 of 2"),
        ({"a": wanted, "b": ""}, "1 of 2"),
    ):
        status = only_status(seen(topic, auth_pods=pods(**applied)))
        message = f"{words} pods of the auth service apply them"
        assert conditions(status)["InForce"] == ("False", "Applying", message)


def test_a_refused_object_says_why_and_applies_nothing() -> None:
    status = only_status(seen(body(stated("rides/a"))))
    told = conditions(status)
    assert told["Accepted"][:2] == ("False", "NotDelegated")
    assert told["InForce"] == ("False", "NotAccepted", "see condition Accepted")
    assert status["rules"] == 0
    assert plan_topics(OWNER, NAMES, seen(body(stated("rides/a"))), NOW).rules == ()


def test_an_object_that_cannot_be_read_harms_nobody() -> None:
    """An operator older than the CRD."""
    odd = body({"filter": "shop/a", "allow": ["subscribe"], "novelty": 1}, name="odd")
    found = plan_topics(OWNER, NAMES, seen(odd, body(stated("shop/b"))), NOW)
    assert [rule.filter for rule in found.rules] == ["shop/b"]
    told = {key.name: conditions(status)["Accepted"] for key, status in found.statuses}
    assert told["odd"][:2] == ("False", "InvalidRule")
    assert "novelty" in told["odd"][2]


def test_nothing_is_written_twice_and_times_stand_still() -> None:
    topic = body(stated("shop/a"))
    status = only_status(seen(topic))
    later = seen({**topic, "status": status})
    assert plan_topics(OWNER, NAMES, later, NOW + timedelta(hours=1)).statuses == ()
    refused = plan_topics(cluster(), NAMES, later, NOW + timedelta(hours=1)).statuses[0][1]
    since = {c["type"]: c["lastTransitionTime"] for c in refused["conditions"]}
    assert since["Accepted"].startswith("2026-01-01T01")
    assert since["InForce"].startswith("2026-01-01T00")


def test_rules_reach_the_configuration_and_roll_no_pod() -> None:
    def applied(observed: Observed) -> dict[tuple[str, str], str]:
        made = plan(OWNER, SETTINGS, CREDENTIALS, {}, observed, NOW)
        return {
            (a.manifest["kind"], a.manifest["metadata"]["name"]): json.dumps(a.manifest)
            for a in made.actions
            if isinstance(a, Apply)
        }

    without, with_one = applied(seen()), applied(seen(body(stated("shop/a"))))
    assert {key for key in without if without[key] != with_one[key]} == {("ConfigMap", "demo-auth")}
    assert "LiveConnectTopic shop/t rules[0]" in with_one["ConfigMap", "demo-auth"]


def test_pods_that_lag_are_refreshed_and_again_when_that_was_lost() -> None:
    topic = body(stated("shop/a"))
    wanted = digest(seen(topic))
    observed = seen(topic, auth_pods=pods(a=wanted, b="old", c=""))

    def refreshed(memory: Memory, now: datetime) -> tuple[list[str], Memory]:
        made = plan(OWNER, SETTINGS, CREDENTIALS, {}, replace(observed, memory=memory), now)
        named = [a.key.name for a in made.actions if isinstance(a, Patch)]
        return named, made.memory

    lagging, memory = refreshed(Memory(), NOW)
    assert lagging == ["b"]
    lagging, memory = refreshed(memory, NOW + timedelta(seconds=2))
    assert lagging == []
    lagging, memory = refreshed(memory, NOW + timedelta(seconds=6))
    assert lagging == ["b"]
    done = seen(topic, auth_pods=pods(a=wanted), memory=memory)
    assert plan(OWNER, SETTINGS, CREDENTIALS, {}, done, NOW).memory.refreshes == {}


def test_the_owner_of_a_stray_is_told() -> None:
    ((key, status),) = without_cluster([body(stated("shop/a"))], NOW)
    assert key.name == "t"
    told = conditions(status)["Accepted"]
    assert told[:2] == ("False", "ClusterNotFound")
    assert "no LiveConnectCluster demo in namespace platform" in told[2]
    assert without_cluster([body(stated("shop/a"), status=status)], NOW + timedelta(1)) == []
