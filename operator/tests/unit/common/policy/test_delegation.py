"""Application teams state rules; the cluster object says how far."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveconnect.api.v1alpha1 import Cluster, Topic, TopicRule
from liveconnect.common.policy import RuleTemplate
from liveconnect.common.policy.delegation import (
    MAX_RULES,
    TopicReason,
    own_rules,
    rules_in_force,
)
from tests.unit.common.policy.test_policy import FILTER, LEVEL, NAMES, VALUES, WILD, expansions
from tests.unit.common.test_topics import matches

JWT = {"issuer": "https://i", "audiences": ["a"], "jwksURI": "https://i/keys"}
LABELS = {"shop": {"team": "shop"}, "rides": {"team": "rides", "tier": "gold"}}


def cluster(*delegations: dict[str, Any], topics: tuple[dict[str, Any], ...] = ()) -> Cluster:
    auth = {
        "tokens": [{"jwt": JWT}],
        "topics": list(topics),
        "delegations": list(delegations),
    }
    metadata = {"name": "demo", "namespace": "platform", "uid": "u"}
    return Cluster.parse({"metadata": metadata, "spec": {"auth": auth}})


def shops(*filters: str, **more: Any) -> dict[str, Any]:
    allow = ["subscribe", "publish"]
    return {"namespaces": ["shop"], "filters": list(filters), "allow": allow, **more}


def stated(topic_filter: str, *allow: str, **more: Any) -> dict[str, Any]:
    return {"filter": topic_filter, "allow": list(allow) or ["subscribe"], **more}


def topic(
    *rules: dict[str, Any], name: str = "t", namespace: str = "shop", created: str = "2026-01-01"
) -> Topic:
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": created}
    reference = {"namespace": "platform", "name": "demo"}
    return Topic.parse({"metadata": metadata, "spec": {"cluster": reference, "rules": list(rules)}})


def outcome(owner: Cluster, *topics: Topic) -> list[tuple[TopicReason, str]]:
    return [(v.reason, v.message) for v in rules_in_force(owner, topics, LABELS).verdicts]


def reason(owner: Cluster, one: Topic) -> TopicReason:
    return outcome(owner, one)[0][0]


def test_what_is_delegated_is_in_force_beside_the_clusters_own() -> None:
    owner = cluster(shops("shop/#"), topics=(stated("news/#"),))
    one = topic(stated("shop/{claims.sub}/+"), stated("shop/{clientId}", "publish"))
    found = rules_in_force(owner, [one], {})
    assert [(rule.filter, rule.source) for rule in found.stated] == [
        ("news/#", "spec.auth.topics[0]"),
        ("shop/{claims.sub}/+", "LiveConnectTopic shop/t rules[0]"),
        ("shop/{clientId}", "LiveConnectTopic shop/t rules[1]"),
    ]
    assert found.verdicts[0].accepted


def test_nothing_is_delegated_by_default() -> None:
    owner = cluster()
    found, message = outcome(owner, topic(stated("shop/a")))[0]
    assert found is TopicReason.NOT_DELEGATED
    assert "LiveConnectCluster platform/demo delegates nothing to namespace shop" in message
    assert rules_in_force(owner, [topic(stated("shop/a"))], LABELS).stated == ()


def test_one_rule_too_many_refuses_the_whole_object() -> None:
    owner = cluster(shops("shop/#"))
    one = topic(stated("shop/a"), stated("rides/a"))
    assert rules_in_force(owner, [one], {}).stated == ()
    found, message = outcome(owner, one)[0]
    assert found is TopicReason.NOT_DELEGATED
    assert message.startswith("rules[1] (rides/a): subscribe lies outside")


@pytest.mark.parametrize(
    ("delegated", "wanted"),
    [
        ("shop/#", "shop"),
        ("shop/#", "shop/+/{claims.sub}/#"),
        ("shop/+/x", "shop/{clientId}/x"),
        ("shop/+/x", "shop/a-{clientId}-b/x"),
        ("shop/{claims.team}/#", "shop/{claims.team}/+/y"),
        ("#", "anything/{claims.sub}"),
        ("+/x", "{claims.sub}/x"),
    ],
)
def test_within(delegated: str, wanted: str) -> None:
    assert reason(cluster(shops(delegated)), topic(stated(wanted))) is TopicReason.ACCEPTED


@pytest.mark.parametrize(
    ("delegated", "wanted"),
    [
        ("shop/#", "shopping/x"),
        ("shop/#", "+/x"),
        ("shop/#", "#"),
        ("shop/#", "{claims.sub}/x"),
        ("shop/+/x", "shop/#"),
        ("shop/+/x", "shop/a/b/x"),
        ("shop/{claims.team}/#", "shop/a/x"),
        ("shop/{claims.team}/#", "shop/+/x"),
        ("shop/{claims.team}/#", "shop/{claims.sub}/x"),
        ("shop/{claims.team}/#", "shop/x{claims.team}/x"),
        ("shop/a/x", "shop/{clientId}/x"),
    ],
)
def test_beyond(delegated: str, wanted: str) -> None:
    assert reason(cluster(shops(delegated)), topic(stated(wanted))) is TopicReason.NOT_DELEGATED


def test_each_action_is_delegated_for_itself() -> None:
    listening = {**shops("shop/#"), "allow": ["subscribe"]}
    assert reason(cluster(listening), topic(stated("shop/a", "subscribe"))) is TopicReason.ACCEPTED
    for wanted in (["publish"], ["subscribe", "publish"]):
        found, message = outcome(cluster(listening), topic(stated("shop/a", *wanted)))[0]
        assert found is TopicReason.NOT_DELEGATED
        assert "publish lies outside" in message
    speaking = {**shops("shop/#"), "allow": ["publish"]}
    both = topic(stated("shop/a", "subscribe", "publish"))
    assert reason(cluster(listening, speaking), both) is TopicReason.ACCEPTED


def test_quality_and_retain_are_delegated() -> None:
    owner = cluster(shops("shop/#", maxQoS=1))
    assert reason(owner, topic(stated("shop/a", maxQoS=1))) is TopicReason.ACCEPTED
    assert reason(owner, topic(stated("shop/a", maxQoS=2))) is TopicReason.NOT_DELEGATED
    keeping = topic(stated("shop/a", "publish", maxQoS=1, allowRetain=True))
    assert reason(owner, keeping) is TopicReason.NOT_DELEGATED
    assert reason(cluster(shops("shop/#", allowRetain=True)), keeping) is TopicReason.ACCEPTED


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"team": "rides"}, TopicReason.ACCEPTED),
        ({"team": "rides", "tier": "gold"}, TopicReason.ACCEPTED),
        ({"team": "rides", "tier": "silver"}, TopicReason.NOT_DELEGATED),
        ({"team": "shop"}, TopicReason.NOT_DELEGATED),
    ],
)
def test_namespaces_by_label(labels: dict[str, str], expected: TopicReason) -> None:
    chosen = {"namespaceSelector": {"matchLabels": labels}, "filters": ["#"], "allow": ["publish"]}
    one = topic(stated("a", "publish"), namespace="rides")
    assert reason(cluster(chosen), one) is expected


def test_a_namespace_that_is_not_known_has_no_labels() -> None:
    chosen = {"namespaceSelector": {"matchLabels": {"team": "x"}}, "filters": ["#"]}
    one = topic(stated("a"), namespace="nowhere")
    owner = cluster({**chosen, "allow": ["subscribe"]})
    assert reason(owner, one) is TopicReason.NOT_DELEGATED


def test_the_older_of_two_that_contradict_each_other_wins() -> None:
    owner = cluster(shops("shop/#"))
    old = topic(stated("shop/a", maxQoS=0), name="old", created="2026-01-01T00:00:00Z")
    new = topic(stated("shop/a", maxQoS=2), name="new", created="2026-01-02T00:00:00Z")
    for order in ([old, new], [new, old]):
        found = rules_in_force(owner, order, {})
        assert [(v.topic.name, v.reason) for v in found.verdicts] == [
            ("old", TopicReason.ACCEPTED),
            ("new", TopicReason.CONFLICTED),
        ]
        assert [rule.maxQoS for rule in found.stated] == [0]
        assert "LiveConnectTopic shop/old rules[0] states the same" in found.verdicts[1].message


def test_the_cluster_object_wins_over_everybody() -> None:
    owner = cluster(shops("#"), topics=(stated("shop/a", maxQoS=0),))
    assert reason(owner, topic(stated("shop/a", maxQoS=1))) is TopicReason.CONFLICTED


@pytest.mark.parametrize(
    "other",
    [
        stated("shop/a", maxQoS=0),
        stated("shop/a", "publish"),
        stated("shop/a", groups=["staff"]),
        stated("shop/b"),
    ],
)
def test_what_goes_together_is_no_conflict(other: dict[str, Any]) -> None:
    owner = cluster(shops("#"))
    assert reason(owner, topic(stated("shop/a", maxQoS=0), other)) is TopicReason.ACCEPTED


def test_nobody_fills_the_configuration_up() -> None:
    owner = cluster(shops("#"))
    many = [topic(*(stated(f"t{n}/{at}") for at in range(50)), name=f"t{n:03}") for n in range(60)]
    found = rules_in_force(owner, many, {})
    assert len(found.stated) == MAX_RULES
    assert [v.reason for v in found.verdicts[40:]] == [TopicReason.CAPACITY_EXCEEDED] * 20
    long = [
        topic(*(stated(f"{n}{at}" + "ü" * 500) for at in range(50)), name=f"t{n:03}")
        for n in range(20)
    ]
    found = rules_in_force(owner, long, {})
    assert TopicReason.CAPACITY_EXCEEDED in {v.reason for v in found.verdicts}
    assert found.verdicts[0].accepted


@given(st.permutations(range(6)), st.randoms())
def test_the_order_of_arrival_is_of_no_account(order: list[int], chance: random.Random) -> None:
    owner = cluster(shops("shop/#"))
    topics = [
        topic(
            stated(f"shop/{at % 3}", maxQoS=at % 2),
            name=f"t{at}",
            created=f"2026-01-0{1 + at % 2}T00:00:00Z",
        )
        for at in range(6)
    ]
    shuffled = [topics[at] for at in order]
    chance.shuffle(shuffled)
    assert rules_in_force(owner, shuffled, {}) == rules_in_force(owner, topics, {})


@st.composite
def pairs(draw: st.DrawFn) -> tuple[str, str]:
    """A delegated filter, and one that often lies within it."""
    delegated = draw(FILTER)
    levels = [
        draw(LEVEL) if level in {"+", "#"} or draw(st.integers(0, 5)) == 0 else level
        for level in delegated.split("/")
    ]
    tail = draw(st.sampled_from([[], ["a"], ["#"]])) if delegated.endswith("#") else []
    return delegated, "/".join([*levels, *tail])


@settings(max_examples=300)
@given(
    pair=pairs(),
    client_id=st.sampled_from(VALUES),
    subject=st.sampled_from([*VALUES, *WILD]),
)
def test_what_is_accepted_never_means_more_than_what_is_delegated(
    pair: tuple[str, str], client_id: str, subject: object
) -> None:
    """By trying every topic name, for every device."""
    delegated, wanted = pair
    if not wanted or reason(cluster(shops(delegated)), topic(stated(wanted))) is not (
        TopicReason.ACCEPTED
    ):
        return
    rule, bound = (TopicRule.model_validate(stated(text)) for text in (wanted, delegated))
    levels = expansions(rule, client_id, subject)
    if levels is None or levels[0].startswith("$"):
        return
    limit = expansions(bound, client_id, subject)
    for name in NAMES:
        if matches(levels, name):
            assert limit is not None
            assert matches(limit, name)


def test_own_rules_are_usable() -> None:
    owner = cluster(topics=(stated("a/{claims.sub}"),))
    assert RuleTemplate.of(own_rules(owner)[0]).places
