"""The decisions. Every path that does not end in an explicit yes ends in a refusal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from liveconnect.api.operands import Publisher
from liveconnect.api.v1alpha1 import TopicAction
from liveconnect.common.claims import TokenFault
from liveconnect.common.policy.canary import CanaryPolicy
from liveconnect.common.policy.decisions import (
    ConnectAllowed,
    Granted,
    PublishAllowed,
    Reason,
    Refused,
    SubscribeDecision,
)
from liveconnect.common.policy.pool import Pool
from liveconnect.common.policy.replies import QOS, SOURCE, Replies
from liveconnect.common.policy.requests import Publication, Subscription
from liveconnect.common.policy.rulebook import Rulebook
from liveconnect.common.policy.rules import RuleTemplate
from liveconnect.common.topics import (
    covers,
    inner_filter,
    is_reserved,
    is_valid_filter,
    is_valid_name,
)
from liveconnect.common.verified import TokenKind, Verified

_JITTER_SHARE: Final = 0.1
_MAX_JITTER_SECONDS: Final = 300.0

Identity = Verified | TokenFault
"""What the user name turned out to be."""


class Policy:
    """All rules of one cluster."""

    def __init__(
        self,
        rules: Iterable[RuleTemplate],
        publishers: Iterable[Publisher],
        canary: str | None = None,
        replies: Replies | None = None,
    ) -> None:
        """Make it.

        Args:
            rules: of devices.
            publishers: backends, and where each may publish.
            canary: subject of the operator, which may use the private listener.
            replies: the rule of answers to the gateway's requests; None if there are none.
        """
        self.canary = CanaryPolicy(canary)
        self._replies = replies
        self._rules: Mapping[TopicAction, Rulebook] = _by_action(tuple(rules))
        self._publishers: Mapping[str, tuple[list[str], ...]] = _by_subject(publishers)
        self._answers = Rulebook([] if replies is None else [replies.rule])

    def connect(
        self, pool: Pool, client_id: str, identity: Identity, now: float, jitter: float
    ) -> ConnectAllowed | Refused:
        """Decide whether a client may connect.

        Args:
            pool: where it wants to.
            client_id: its client id.
            identity: what its token proves.
            now: seconds since the epoch.
            jitter: between 0 and 1; spreads the ends of sessions whose tokens end together.
        """
        admitted = self._admit(pool, client_id, identity)
        if isinstance(admitted, Refused):
            return admitted
        return ConnectAllowed(_lifetime(admitted.expires_at - now, jitter))

    def subscribe(
        self, pool: Pool, client_id: str, identity: Identity, topics: Sequence[Subscription]
    ) -> SubscribeDecision | Refused:
        """Decide what each filter of a SUBSCRIBE gets; the answer keeps the order of `topics`."""
        admitted = self._admit(pool, client_id, identity)
        if isinstance(admitted, Refused):
            return admitted
        if pool is not Pool.SUBSCRIBER:
            return self._subscribe_of_backend(admitted, topics)
        return SubscribeDecision(tuple(self._grant(client_id, admitted, topic) for topic in topics))

    def publish(
        self, pool: Pool, identity: Identity, message: Publication
    ) -> PublishAllowed | Refused:
        """Decide whether a client may publish a message, or have it as its will."""
        admitted = self._admit(pool, message.client_id, identity)
        if isinstance(admitted, Refused):
            return admitted
        if not is_valid_name(message.topic) or is_reserved(message.topic):
            return Refused(Reason.INVALID_TOPIC)
        if pool is Pool.SUBSCRIBER:
            return self._publish_of_device(admitted, message)
        return self._publish_of_backend(admitted, message)

    def _admit(self, pool: Pool, client_id: str, identity: Identity) -> Verified | Refused:
        """Return the identity if it belongs to this pool and to this client."""
        if isinstance(identity, TokenFault):
            return Refused(identity)
        if pool is Pool.SUBSCRIBER:
            return _admit_device(client_id, identity)
        if identity.kind is not TokenKind.SERVICE_ACCOUNT:
            return Refused(Reason.DEVICE_ON_PUBLISHER_POOL)
        if identity.subject not in self._publishers:
            return Refused(Reason.UNKNOWN_BACKEND)
        return identity

    def _subscribe_of_backend(
        self, backend: Verified, topics: Sequence[Subscription]
    ) -> SubscribeDecision | Refused:
        """Let a pod of the gateway hear the answers to its requests, and nobody anything else."""
        replies = self._replies
        if replies is None or not all(replies.are_heard_by(backend, one.topic) for one in topics):
            return Refused(Reason.SUBSCRIBE_ON_PUBLISHER_POOL)
        return SubscribeDecision(tuple(Granted(min(one.qos, QOS), SOURCE) for one in topics))

    def _grant(self, client_id: str, device: Verified, wanted: Subscription) -> Granted | Refused:
        topic_filter = inner_filter(wanted.topic)
        if (
            topic_filter is None
            or not is_valid_filter(topic_filter)
            or not is_valid_filter(wanted.topic)
            or is_reserved(topic_filter)
        ):
            return Refused(Reason.INVALID_TOPIC)
        best: RuleTemplate | None = None
        rules = self._rules[TopicAction.SUBSCRIBE]
        for rule in rules.covering(client_id, device, topic_filter.split("/")):
            if best is None or rule.max_qos > best.max_qos:
                best = rule
        if best is None:
            return Refused(Reason.NO_RULE)
        return Granted(min(wanted.qos, best.max_qos), best.source)

    def _publish_of_device(
        self, device: Verified, message: Publication
    ) -> PublishAllowed | Refused:
        refusal = Refused(Reason.NO_RULE)
        levels = message.topic.split("/")
        rules = self._rules[TopicAction.PUBLISH]
        if self._replies is not None and self._replies.hold(levels):
            rules = self._answers
        for rule in rules.covering(message.client_id, device, levels):
            excess = _excess(rule, message)
            if excess is None:
                return PublishAllowed(rule.source)
            refusal = Refused(excess, rule.source)
        return refusal

    def _publish_of_backend(
        self, backend: Verified, message: Publication
    ) -> PublishAllowed | Refused:
        levels = message.topic.split("/")
        if self._replies is not None and self._replies.hold(levels):
            return Refused(Reason.REPLY_TOPIC, SOURCE)
        if any(covers(allowed, levels) for allowed in self._publishers[backend.subject]):
            return PublishAllowed(f"publisher {backend.subject}")
        return Refused(Reason.NO_RULE)


def _by_action(rules: tuple[RuleTemplate, ...]) -> Mapping[TopicAction, Rulebook]:
    return {
        action: Rulebook([rule for rule in rules if action in rule.actions])
        for action in TopicAction
    }


def _excess(rule: RuleTemplate, message: Publication) -> Reason | None:
    """Return which of the rule's bounds a message exceeds."""
    if message.qos > rule.max_qos:
        return Reason.QOS
    if message.retain and not rule.allow_retain:
        return Reason.RETAIN
    if rule.max_payload_bytes is not None:
        size = message.payload_bytes
        if size is None or size > rule.max_payload_bytes:
            return Reason.PAYLOAD_SIZE
    return None


def _by_subject(publishers: Iterable[Publisher]) -> Mapping[str, tuple[list[str], ...]]:
    filters: dict[str, tuple[list[str], ...]] = {}
    for publisher in publishers:
        valid = (entry.split("/") for entry in publisher.publish if is_valid_filter(entry))
        filters[publisher.subject] = (*filters.get(publisher.subject, ()), *valid)
    return filters


def _admit_device(client_id: str, identity: Verified) -> Verified | Refused:
    if identity.kind is not TokenKind.DEVICE:
        return Refused(Reason.BACKEND_ON_SUBSCRIBER_POOL)
    claimed = identity.claims.get(identity.client_id_claim)
    if not isinstance(claimed, str) or not claimed or claimed != client_id:
        return Refused(Reason.CLIENT_ID)
    return identity


def _lifetime(remaining: float, jitter: float) -> int:
    spread = min(remaining * _JITTER_SHARE, _MAX_JITTER_SECONDS)
    return max(int(remaining - jitter * spread), 1)
