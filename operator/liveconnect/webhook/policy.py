"""Who may connect, subscribe and publish: pure decisions, denied unless a rule allows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from liveconnect.api.v1alpha1 import TopicAction, TopicRule
from liveconnect.webhook import topics


class Pool(StrEnum):
    """Which pool the hook came from."""

    PUBLISHER = "publisher"
    SUBSCRIBER = "subscriber"


class Kind(StrEnum):
    """Who presented the token."""

    DEVICE = "device"
    BACKEND = "backend"


@dataclass(frozen=True)
class Principal:
    """Somebody whose token was verified."""

    kind: Kind
    subject: str
    claims: Mapping[str, Any]
    client_id: str = ""
    """A device's client id, from its token."""


@dataclass(frozen=True)
class Policy:
    """The rules of one cluster."""

    topics: Sequence[TopicRule]
    publishers: Mapping[str, Sequence[str]]
    """Backend subject to the filters that it may publish to."""

    def may_connect(self, pool: Pool, principal: Principal, client_id: str) -> str:
        """Why this principal may not connect with this client id; empty when it may."""
        if pool is Pool.PUBLISHER:
            if principal.kind is not Kind.BACKEND:
                return "device_on_publishers"
            return "" if principal.subject in self.publishers else "unknown_backend"
        if principal.kind is not Kind.DEVICE:
            return "backend_on_subscribers"
        if not client_id or principal.client_id != client_id:
            return "client_id"
        return ""

    def subscription(
        self, pool: Pool, principal: Principal, client_id: str, wanted: str, qos: int
    ) -> int | None:
        """The QoS that a subscription is granted; None when it is refused."""
        inner = topics.shared_filter(wanted)
        if pool is not Pool.SUBSCRIBER or inner is None or not topics.is_filter(inner):
            return None
        if self.may_connect(pool, principal, client_id):
            return None
        caps = [
            rule.maxQoS
            for rule in self.topics
            if TopicAction.SUBSCRIBE in rule.allow
            and (expanded := expand(rule.filter, principal)) is not None
            and topics.covers(expanded, inner)
        ]
        return min(qos, max(caps)) if caps else None

    def may_publish(
        self,
        pool: Pool,
        principal: Principal,
        client_id: str,
        topic: str,
        qos: int,
        *,
        retain: bool,
    ) -> bool:
        """Whether the principal may publish this."""
        if not topics.is_name(topic) or self.may_connect(pool, principal, client_id):
            return False
        if pool is Pool.PUBLISHER:
            filters = self.publishers.get(principal.subject, ())
            return any(topics.matches(f, topic) for f in filters)
        return any(
            TopicAction.PUBLISH in rule.allow
            and qos <= rule.maxQoS
            and (rule.allowRetain or not retain)
            and (expanded := expand(rule.filter, principal)) is not None
            and topics.matches(expanded, topic)
            for rule in self.topics
        )


_PLACEHOLDER = re.compile(r"\{(clientId|claims\.([^{}]+))\}")


def expand(template: str, principal: Principal) -> str | None:
    """A rule's filter with the principal's own values; None when one is missing or unfit.

    A value with a level separator, a wildcard or a NUL would widen the rule: it never matches.
    """
    values: dict[str, str] = {}
    for placeholder, claim in _PLACEHOLDER.findall(template):
        value = principal.claims.get(claim) if claim else principal.client_id
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not value or any(c in value for c in "/+#\x00{}"):
            return None
        values[placeholder] = value
    filled = _PLACEHOLDER.sub(lambda m: values[m.group(1)], template)
    return None if filled.startswith("$") else filled


def lifetime(expires: float, now: float, spread: float) -> int:
    """How long a session may last (seconds): the token's remaining life, a little less.

    Args:
        expires: Unix time at which the token ends.
        now: Unix time.
        spread: 0 to 1, different for every client, so that tokens that end together do not
            make everybody reconnect together (at most a twentieth of the life, at most a minute).
    """
    left = max(1.0, expires - now)
    return max(1, int(left - min(left * 0.05, 60.0) * spread))
