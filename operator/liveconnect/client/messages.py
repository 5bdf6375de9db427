"""What backends say and hear. Values only; the gateway, not this module, says what is allowed."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import msgspec

Payload = str | bytes | Mapping[str, Any] | Sequence[Any]
"""Text, bytes, or what becomes compact JSON."""
QoS = Literal[0, 1, 2]


class Delivery(StrEnum):
    """When a message is published."""

    ACCEPTED = "accepted"
    """Always; the broker keeps it for a client that is away and has a session."""
    ONLINE_ONLY = "online-only"
    """Only if the client is connected; otherwise `ClientAwayError`."""


class Receipt(StrEnum):
    """How far a message got."""

    ACKNOWLEDGED = "acknowledged"
    """QoS 1 and 2: a broker has it."""
    SENT = "sent"
    """QoS 0: it was handed to the connection."""
    STORED = "stored"
    """QoS 1 and 2: it is on the gateway's disk, and published as soon as a broker is there."""


@dataclass(frozen=True, kw_only=True)
class Content:
    """What is published, and how; to whom is said elsewhere."""

    payload: Payload
    qos: QoS = 1
    retain: bool = False
    message_expiry_seconds: int | None = None
    """After so long brokers drop it undelivered."""
    content_type: str | None = None
    """Media type of the payload."""
    user_properties: Mapping[str, str] = field(default_factory=dict)
    response_topic: str | None = None
    correlation_data: bytes | None = None
    delivery: Delivery = Delivery.ACCEPTED


@dataclass(frozen=True, kw_only=True)
class Message(Content):
    """A message, and whom it is for: a topic, a client or a group.

    Raises:
        ValueError: not exactly one of `topic`, `client_id` and `group` is given.
    """

    topic: str | None = None
    client_id: str | None = None
    group: str | None = None

    def __post_init__(self) -> None:
        _require_one(topic=self.topic, client_id=self.client_id, group=self.group)


@dataclass(frozen=True, kw_only=True)
class Members:
    """The clients that each get a message: these, those whose ids begin so, or a group's.

    Raises:
        ValueError: not exactly one of `client_ids`, `prefix` and `group` is given.
    """

    client_ids: Sequence[str] | None = None
    prefix: str | None = None
    group: str | None = None

    def __post_init__(self) -> None:
        _require_one(client_ids=self.client_ids, prefix=self.prefix, group=self.group)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a device is asked."""

    payload: Payload
    timeout_seconds: int = 30
    """How long an answer is waited for; `Client.request` waits at most 60 s for it."""
    qos: QoS = 1
    message_expiry_seconds: int | None = None
    content_type: str | None = None
    user_properties: Mapping[str, str] = field(default_factory=dict)
    delivery: Delivery = Delivery.ACCEPTED


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """What a device answered."""

    payload: str | None = None
    payload_base64: str | None = None
    content_type: str | None = None
    user_properties: dict[str, str] = {}

    @property
    def content(self) -> bytes:
        """The payload as the device sent it."""
        if self.payload_base64 is not None:
            return base64.b64decode(self.payload_base64)
        return (self.payload or "").encode()

    def json(self) -> Any:
        """Return the payload, read as JSON.

        Raises:
            ValueError: it is none.
        """
        return json.loads(self.content)


class RequestState(StrEnum):
    """What became of a request."""

    PENDING = "pending"
    ANSWERED = "answered"
    EXPIRED = "expired"


class RequestStatus(msgspec.Struct, frozen=True, rename="camel"):
    """A request as the gateway knows it."""

    id: str
    client_id: str
    status: RequestState
    acknowledged: bool = False
    """Whether a broker said that it has the request."""
    expires_at: str = ""
    """When nobody waits for the answer any more (RFC 3339)."""
    answer: Answer | None = None
    """What the device answered, once it has."""


class PresenceState(StrEnum):
    """Whether a client is connected."""

    ONLINE = "online"
    OFFLINE = "offline"
    UNKNOWN = "unknown"
    """Its broker does not answer; it is known again within seconds."""


class Presence(msgspec.Struct, frozen=True, rename="camel"):
    """What is known of a client's connection."""

    client_id: str
    state: PresenceState
    node: str = ""
    """The broker that it is or was on."""
    since: str = ""
    """Since when it is in this state (RFC 3339)."""
    last_seen: str = ""
    stale_seconds: float = 0.0
    """For how long a change may have been waiting to be known."""

    @property
    def online(self) -> bool:
        """Whether it is surely connected."""
        return self.state is PresenceState.ONLINE


def _require_one(**alternatives: object) -> None:
    if sum(value is not None for value in alternatives.values()) != 1:
        raise ValueError(f"give exactly one of {', '.join(alternatives)}")
