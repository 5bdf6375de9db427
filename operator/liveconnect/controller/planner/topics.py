"""The rules in force, and what the owners of `LiveConnectTopic` objects are told. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import pydantic

from liveconnect.api.operands import StatedRule
from liveconnect.api.v1alpha1 import Cluster, Condition, ConditionStatus, Topic, TopicStatus
from liveconnect.common.policy.delegation import TopicReason, Verdict, rules_in_force
from liveconnect.controller.model.actions import Patch
from liveconnect.controller.model.manifest import Manifest, ObjectKey
from liveconnect.controller.model.names import RULES_ANNOTATION, Names
from liveconnect.controller.model.observed import Memory, Observed
from liveconnect.controller.planner.transition import transition
from liveconnect.controller.rendering.configuration import auth_config

#: How long the kubelet is given before it is asked again to look at the ConfigMap.
_PATIENCE = timedelta(seconds=5)


class InForce(StrEnum):
    """Reasons of the condition `InForce`."""

    APPLIED = "Applied"
    APPLYING = "Applying"
    NOT_ACCEPTED = "NotAccepted"


StatusWrite = tuple[ObjectKey, Manifest]


@dataclass(frozen=True)
class TopicPlan:
    """What follows from all topic rules of one cluster."""

    rules: tuple[StatedRule, ...]
    """The rules in force."""
    statuses: tuple[StatusWrite, ...]
    """Statuses of topic objects that are not what they were."""
    refreshes: tuple[Patch, ...]
    """Pods of the auth service that still apply other rules."""
    settled: bool
    """Whether every pod of the auth service that answers applies them."""


def plan_topics(cluster: Cluster, names: Names, observed: Observed, now: datetime) -> TopicPlan:
    """Decide which rules are in force."""
    bodies = {ObjectKey.of(body): body for body in observed.topics}
    topics, unreadable = _parsed(bodies)
    found = rules_in_force(cluster, topics.values(), observed.namespaces)
    digest = auth_config(cluster, names, found.stated).rules_digest()
    verdicts = {(v.topic.namespace, v.topic.name): v for v in found.verdicts}
    applied = [pod.rules == digest for pod in observed.auth_pods]
    writes = []
    for key, body in sorted(bodies.items()):
        verdict = verdicts.get((key.namespace, key.name))
        status = (
            _judged(body, verdict, applied, now)
            if verdict
            else _refused(body, TopicReason.INVALID_RULE, unreadable[key], now)
        )
        writes += _changed(key, body, status)
    return TopicPlan(
        rules=found.stated,
        statuses=tuple(writes),
        refreshes=_refreshes(names.namespace, observed, digest, now),
        settled=all(applied),
    )


def without_cluster(topics: Iterable[Manifest], now: datetime) -> list[StatusWrite]:
    """What the owners of topic objects are told whose cluster does not exist."""
    writes = []
    for body in topics:
        reference = body["spec"]["cluster"]
        where = reference.get("namespace") or body["metadata"]["namespace"]
        message = (
            f"there is no LiveConnectCluster {reference.get('name')} in namespace {where}, or the "
            "operator does not watch it"
        )
        status = _refused(body, TopicReason.CLUSTER_NOT_FOUND, message, now)
        writes += _changed(ObjectKey.of(body), body, status)
    return writes


def remember_refreshes(memory: Memory, plan: TopicPlan, now: datetime) -> dict[str, datetime]:
    """When each pod was refreshed last; forgotten once all apply the rules."""
    if plan.settled:
        return {}
    return {**memory.refreshes, **{action.key.name: now for action in plan.refreshes}}


def _parsed(
    bodies: dict[ObjectKey, Manifest],
) -> tuple[dict[ObjectKey, Topic], dict[ObjectKey, str]]:
    topics: dict[ObjectKey, Topic] = {}
    unreadable: dict[ObjectKey, str] = {}
    for key, body in bodies.items():
        try:
            topics[key] = Topic.parse(body)
        except pydantic.ValidationError as error:
            faults = error.errors(include_input=False, include_url=False)
            unreadable[key] = "; ".join(
                f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
                for fault in faults
            )
    return topics, unreadable


def _judged(body: Manifest, verdict: Verdict, applied: list[bool], now: datetime) -> TopicStatus:
    if not verdict.accepted:
        return _refused(body, verdict.reason, verdict.message, now)
    done = bool(applied) and all(applied)
    message = f"{sum(applied)} of {len(applied)} pods of the auth service apply them"
    return TopicStatus(
        observedGeneration=_generation(body),
        conditions=[
            _condition(body, "Accepted", (verdict.reason, verdict.message), now, true=True),
            _condition(
                body,
                "InForce",
                (InForce.APPLIED if done else InForce.APPLYING, message),
                now,
                true=done,
            ),
        ],
        rules=len(verdict.topic.spec.rules),
    )


def _refused(body: Manifest, reason: TopicReason, message: str, now: datetime) -> TopicStatus:
    return TopicStatus(
        observedGeneration=_generation(body),
        conditions=[
            _condition(body, "Accepted", (reason, message), now, true=False),
            _condition(
                body, "InForce", (InForce.NOT_ACCEPTED, "see condition Accepted"), now, true=False
            ),
        ],
        rules=0,
    )


def _condition(
    body: Manifest, kind: str, why: tuple[str, str], now: datetime, *, true: bool
) -> Condition:
    old = {c["type"]: c for c in (body.get("status") or {}).get("conditions", [])}
    status = ConditionStatus.TRUE if true else ConditionStatus.FALSE
    return transition(old, kind, status, why, _generation(body), now)


def _generation(body: Manifest) -> int:
    return int(body["metadata"].get("generation", 1))


def _changed(key: ObjectKey, body: Manifest, status: TopicStatus) -> list[StatusWrite]:
    written = status.model_dump(mode="json")
    return [] if written == body.get("status") else [(key, written)]


def _refreshes(namespace: str, observed: Observed, digest: str, now: datetime) -> tuple[Patch, ...]:
    """Have the kubelet look at pods, and so at their ConfigMap, once they changed: at once."""
    asked = observed.memory.refreshes
    note = {RULES_ANNOTATION: f"{digest} {now.isoformat(timespec='seconds')}"}
    return tuple(
        Patch(
            ObjectKey("v1", "Pod", namespace, pod.name),
            pod.uid,
            {"metadata": {"annotations": note}},
            "it applies other rules than those in force",
        )
        for pod in observed.auth_pods
        if pod.rules not in {digest, ""}
        and (pod.name not in asked or now - asked[pod.name] > _PATIENCE)
    )
