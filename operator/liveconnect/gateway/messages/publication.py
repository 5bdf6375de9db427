"""What one request, or one line of a batch, asks for."""

from __future__ import annotations

from enum import Enum

import msgspec

from liveconnect.gateway.messages.message import Message


class Delivery(Enum):
    """When a message is worth publishing."""

    ACCEPTED = "accepted"
    """Always: the brokers keep it for a client that is away, as its session says."""
    ONLINE_ONLY = "online-only"
    """Only while the client that it is for is connected."""


class Publication(msgspec.Struct, frozen=True, gc=False):
    """A message and how it is to be delivered."""

    message: Message
    delivery: Delivery = Delivery.ACCEPTED
    client_id: str | None = None
    """The client that it is for; None if it was addressed by topic or group."""
