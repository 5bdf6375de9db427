"""What a decision is."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Reason(StrEnum):
    """Why something is refused, when the token is not the reason; for logs and metrics."""

    CLIENT_ID = "client-id"
    """The token is another client's."""
    CLIENT_ID_CHARACTERS = "client-id-characters"
    """With this client id nobody could end the session: see `contract.can_be_named`."""
    DEVICE_ON_PUBLISHER_POOL = "device-on-publisher-pool"
    BACKEND_ON_SUBSCRIBER_POOL = "backend-on-subscriber-pool"
    UNKNOWN_BACKEND = "unknown-backend"
    """A ServiceAccount that the cluster object does not name."""
    NO_RULE = "no-rule"
    """No rule covers the topic."""
    INVALID_TOPIC = "invalid-topic"
    QOS = "qos"
    RETAIN = "retain"
    PAYLOAD_SIZE = "payload-size"
    """The payload is larger than the rule allows, or its size is not known."""
    SUBSCRIBE_ON_PUBLISHER_POOL = "subscribe-on-publisher-pool"
    NOT_THE_CANARY = "not-the-canary"
    """Only the operator has business on the brokers' private listener."""
    REPLY_TOPIC = "reply-topic"
    """Devices answer the gateway there, and nobody in their name."""
    ENHANCED_AUTH = "enhanced-auth"
    """MQTT 5 re-authentication, which is not supported."""


class Refused(msgspec.Struct, frozen=True):
    """No, and why."""

    reason: str
    """A `Reason` or a `TokenFault`."""
    rule: str = ""
    """The rule that would allow it, were it not for its bounds; empty if there is none."""


class ConnectAllowed(msgspec.Struct, frozen=True):
    """The client may connect."""

    lifetime_seconds: int
    """For how long: the session must not outlive the token."""


class PublishAllowed(msgspec.Struct, frozen=True):
    """The client may publish this."""

    rule: str
    """Which rule says so."""


class Granted(msgspec.Struct, frozen=True):
    """The client may subscribe to this."""

    qos: int
    """The quality of service that it gets."""
    rule: str
    """Which rule says so."""


class SubscribeDecision(msgspec.Struct, frozen=True):
    """What each filter of a SUBSCRIBE gets."""

    granted: tuple[Granted | Refused, ...]
    """By position."""
