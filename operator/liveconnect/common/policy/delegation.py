"""Which rules are in force: the cluster object's own, and what it lets others state.

A `LiveConnectTopic` object is accepted as a whole or not at all. Where two contradict each other
the cluster object wins, then the older one: nobody can take away what others rely on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from liveconnect.api.operands import StatedRule
from liveconnect.api.v1alpha1 import Cluster, Delegation, Topic, TopicAction, TopicRule
from liveconnect.common.policy.rules import RuleTemplate, TemplateError
from liveconnect.common.topics import covers

MAX_RULES: Final = 2_000
MAX_RULES_BYTES: Final = 768 * 1024
"""All rules together, as JSON: a ConfigMap ends at 1 MiB."""
_NO_ROOM: Final = (
    f"the cluster has no room for further rules (at most {MAX_RULES}, "
    f"{MAX_RULES_BYTES // 1024} KiB); use fewer rules with wildcards or placeholders"
)

NamespaceLabels = Mapping[str, Mapping[str, str]]
"""Labels of every namespace that is known."""


class TopicReason(StrEnum):
    """What became of a `LiveConnectTopic`; the reason of its condition `Accepted`."""

    ACCEPTED = "Accepted"
    NOT_DELEGATED = "NotDelegated"
    CONFLICTED = "Conflicted"
    CAPACITY_EXCEEDED = "CapacityExceeded"
    INVALID_RULE = "InvalidRule"
    CLUSTER_NOT_FOUND = "ClusterNotFound"


@dataclass(frozen=True)
class Verdict:
    """What became of one object, and why, in words that its owner can act on."""

    topic: Topic
    reason: TopicReason
    message: str

    @property
    def accepted(self) -> bool:
        """Whether its rules are among those in force."""
        return self.reason is TopicReason.ACCEPTED


@dataclass(frozen=True)
class Rules:
    """All rules of one cluster."""

    stated: tuple[StatedRule, ...]
    """The cluster object's own first, then the topic objects', the oldest first."""
    verdicts: tuple[Verdict, ...]
    """One for every topic object, in the same order."""


def own_rules(cluster: Cluster) -> tuple[StatedRule, ...]:
    """The rules of the cluster object itself."""
    return tuple(
        _stated(rule, f"spec.auth.topics[{index}]")
        for index, rule in enumerate(cluster.spec.auth.topics)
    )


def rules_in_force(cluster: Cluster, topics: Iterable[Topic], namespaces: NamespaceLabels) -> Rules:
    """Decide which topic objects' rules join the cluster object's own.

    Args:
        cluster: the cluster object.
        topics: the objects that refer to it, in any order.
        namespaces: for delegations by label.
    """
    stated = list(own_rules(cluster))
    size = sum(_size(rule) for rule in stated)
    verdicts = []
    for topic in sorted(topics, key=lambda one: (one.created, one.namespace, one.name)):
        wanted = topic_rules(topic)
        refusal = _refusal(cluster, topic, wanted, stated, namespaces)
        if refusal is None and not _fits(size, stated, wanted):
            refusal = TopicReason.CAPACITY_EXCEEDED, _NO_ROOM
        if refusal is None:
            stated += wanted
            size += sum(_size(rule) for rule in wanted)
            refusal = (TopicReason.ACCEPTED, "all rules are within what is delegated")
        verdicts.append(Verdict(topic, *refusal))
    return Rules(tuple(stated), tuple(verdicts))


def topic_rules(topic: Topic) -> tuple[StatedRule, ...]:
    """The rules of a topic object, each with where it is stated."""
    return tuple(
        _stated(rule, f"{topic} rules[{index}]") for index, rule in enumerate(topic.spec.rules)
    )


def _stated(rule: TopicRule, source: str) -> StatedRule:
    return StatedRule(**rule.model_dump(), source=source)


def _size(rule: StatedRule) -> int:
    return len(json.dumps(rule.model_dump(mode="json"), indent=2))


def _fits(size: int, stated: Sequence[StatedRule], wanted: Sequence[StatedRule]) -> bool:
    total = size + sum(_size(rule) for rule in wanted)
    return len(stated) + len(wanted) <= MAX_RULES and total <= MAX_RULES_BYTES


def _refusal(
    cluster: Cluster,
    topic: Topic,
    wanted: Sequence[StatedRule],
    stated: Sequence[StatedRule],
    namespaces: NamespaceLabels,
) -> tuple[TopicReason, str] | None:
    """Return why a topic object's rules may not join those that are stated already."""
    given = list(_delegations(cluster, topic.namespace, namespaces))
    name = f"{cluster.namespace}/{cluster.name}"
    if not given:
        nothing = f"LiveConnectCluster {name} delegates nothing to namespace {topic.namespace}"
        ask = "ask its owner for an entry in spec.auth.delegations"
        return TopicReason.NOT_DELEGATED, f"{nothing}: {ask}"
    for index, rule in enumerate(wanted):
        where = f"rules[{index}] ({rule.filter})"
        try:
            RuleTemplate.of(rule)
        except TemplateError as error:
            return TopicReason.INVALID_RULE, f"rules[{index}]: {error}"
        excess = next((e for e in _excesses(rule, given)), None)
        if excess is not None:
            given_to = f"what LiveConnectCluster {name} delegates to namespace {topic.namespace}"
            return TopicReason.NOT_DELEGATED, f"{where}: {excess} {given_to}"
        other = next((one for one in (*stated, *wanted[:index]) if _contradict(one, rule)), None)
        if other is not None:
            return (
                TopicReason.CONFLICTED,
                f"{where}: {other.source} states the same filter with other bounds; agree on one",
            )
    return None


def _delegations(
    cluster: Cluster, namespace: str, namespaces: NamespaceLabels
) -> Iterator[Delegation]:
    labels = namespaces.get(namespace, {})
    for delegation in cluster.spec.auth.delegations:
        if delegation.namespaces is not None:
            if namespace in delegation.namespaces:
                yield delegation
        elif delegation.namespaceSelector is not None:
            wanted = delegation.namespaceSelector.matchLabels.items()
            if all(labels.get(key) == value for key, value in wanted):
                yield delegation


def _excesses(rule: TopicRule, given: Sequence[Delegation]) -> Iterator[str]:
    """In which way each thing that a rule allows goes beyond what is given."""
    levels = rule.filter.split("/")
    for action in rule.allow:
        within = [
            one
            for one in given
            if action in one.allow
            and any(covers(entry.split("/"), levels) for entry in one.filters)
        ]
        if not within:
            yield f"{action.value} lies outside"
        elif not any(_within_bounds(rule, action, one) for one in within):
            yield f"{action.value} has a higher maxQoS than, or allowRetain beyond,"


def _within_bounds(rule: TopicRule, action: TopicAction, delegation: Delegation) -> bool:
    retains = rule.allowRetain and action is TopicAction.PUBLISH
    return rule.maxQoS <= delegation.maxQoS and (delegation.allowRetain or not retains)


def _contradict(one: TopicRule, other: TopicRule) -> bool:
    """Whether two rules say different things of the same: the wider would quietly win."""
    return (
        one.filter == other.filter
        and set(one.groups) == set(other.groups)
        and bool(set(one.allow) & set(other.allow))
        and _bounds(one) != _bounds(other)
    )


def _bounds(rule: TopicRule) -> tuple[int, bool, int | None]:
    return rule.maxQoS, rule.allowRetain, rule.maxPayloadBytes
