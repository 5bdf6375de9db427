"""What a decision is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why something is refused, when the token is not the reason; for logs and metrics."""

    CLIENT_ID = "client-id"
    """The token is another client's."""
    DEVICE_ON_PUBLISHER_POOL = "device-on-publisher-pool"
    BACKEND_ON_SUBSCRIBER_POOL = "backend-on-subscriber-pool"
    UNKNOWN_BACKEND = "unknown-backend"
    """A ServiceAccount that the cluster object does not name."""
    NO_RULE = "no-rule"
    """No rule covers the topic."""
    INVALID_TOPIC = "invalid-topic"
    QOS = "qos"
    RETAIN = "retain"
    SUBSCRIBE_ON_PUBLISHER_POOL = "subscribe-on-publisher-pool"
    ENHANCED_AUTH = "enhanced-auth"
    """MQTT 5 re-authentication, which is not supported."""


@dataclass(frozen=True, slots=True)
class Refused:
    """No, and why."""

    reason: str
    """A `Reason` or a `TokenFault`."""


@dataclass(frozen=True, slots=True)
class ConnectAllowed:
    """The client may connect."""

    lifetime_seconds: int
    """For how long: the session must not outlive the token."""


@dataclass(frozen=True, slots=True)
class PublishAllowed:
    """The client may publish this."""


@dataclass(frozen=True, slots=True)
class SubscribeDecision:
    """What each filter of a SUBSCRIBE gets."""

    granted: tuple[int | Refused, ...]
    """By position: the granted QoS, or a refusal."""
