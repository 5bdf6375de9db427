"""What is asked, and the answer: by the same policy that the auth service decides by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from liveconnect.cli.identity import Asker
from liveconnect.cli.objects import Objects
from liveconnect.common.policy import (
    ConnectAllowed,
    Granted,
    Policy,
    PublishAllowed,
    Refused,
    Replies,
    RuleTemplate,
)
from liveconnect.common.policy.backends import gateway_of, named_backends, replies_to
from liveconnect.common.policy.delegation import Rules, rules_in_force


@dataclass(frozen=True)
class Message:
    """A message that somebody wants to publish."""

    client_id: str
    topic: str
    qos: int
    retain: bool
    payload_bytes: int | None


@dataclass(frozen=True)
class Wanted:
    """A filter that somebody wants to subscribe to."""

    topic: str
    qos: int


@dataclass(frozen=True)
class Answer:
    """Yes or no, and why."""

    allowed: bool
    what: str
    """What was asked."""
    reason: str
    """Why not; empty when it is allowed."""
    rule: str
    """The rule that says so, or that would but for its bounds; empty if there is none."""
    qos: int | None = None
    """What a subscription is granted."""


class Simulator:
    """Answers questions from objects."""

    def __init__(self, objects: Objects) -> None:
        self.rules: Rules = rules_in_force(objects.cluster, objects.topics, objects.namespaces)
        self.templates = [RuleTemplate.of(rule, rule.source) for rule in self.rules.stated]
        cluster = objects.cluster
        stated = replies_to(cluster)
        replies = None if stated is None else Replies(stated)
        self._built_in = [] if replies is None else [replies.rule]
        backends = [gateway_of(cluster), *named_backends(cluster)]
        self._policy = Policy(self.templates, backends, replies=replies)

    def connect(self, asker: Asker) -> Answer:
        """Whether it may connect."""
        decision = self._policy.connect(
            asker.pool, asker.client_id, asker.identity, now=0.0, jitter=0.0
        )
        what = f"connect as {asker.client_id} to the {asker.pool.value} pool"
        if isinstance(decision, ConnectAllowed):
            return Answer(allowed=True, what=what, reason="", rule="")
        return _refused(what, decision)

    def publish(self, asker: Asker, message: Message) -> Answer:
        """Whether it may publish a message, or have it as its will."""
        decision = self._policy.publish(asker.pool, asker.identity, message)
        what = f"publish {message.topic}"
        if isinstance(decision, PublishAllowed):
            return Answer(allowed=True, what=what, reason="", rule=decision.rule)
        return _refused(what, decision)

    def subscribe(self, asker: Asker, wanted: Sequence[Wanted]) -> list[Answer]:
        """What each filter of one SUBSCRIBE gets."""
        decision = self._policy.subscribe(asker.pool, asker.client_id, asker.identity, wanted)
        names = [f"subscribe {one.topic}" for one in wanted]
        if isinstance(decision, Refused):
            return [_refused(what, decision) for what in names]
        return [
            Answer(allowed=True, what=what, reason="", rule=grant.rule, qos=grant.qos)
            if isinstance(grant, Granted)
            else _refused(what, grant)
            for what, grant in zip(names, decision.granted, strict=True)
        ]

    def rules_of(self, asker: Asker) -> list[tuple[RuleTemplate, str]]:
        """The rules that are for this device, each with its filter for it."""
        found = []
        for rule in (*self.templates, *self._built_in):
            if rule.groups and rule.groups.isdisjoint(asker.identity.groups):
                continue
            levels = rule.expand(asker.client_id, asker.identity.claims)
            if levels is not None:
                found.append((rule, "/".join(levels)))
        return found


def _refused(what: str, decision: Refused) -> Answer:
    return Answer(allowed=False, what=what, reason=decision.reason, rule=decision.rule)
