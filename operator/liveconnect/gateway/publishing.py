"""What publishing needs of a link to the brokers, and all the ways in which it can fail.

PublishError
├── LinkDownError      no connection, or it broke before the acknowledgement
├── BusyError          too much waits for the brokers already
├── ShareError         the caller has its share of what may wait
├── AckTimeoutError    the broker is silent: the message may or may not have been taken
├── RefusedError       the broker said no
└── NotTakenError      the broker said beforehand that it takes no such message
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Protocol

from liveconnect.gateway.messages import Message


class Receipt(Enum):
    """What has become of a message."""

    SENT = "sent"
    """QoS 0: handed to the connection; MQTT promises no more."""
    ACKNOWLEDGED = "acknowledged"
    """The broker has taken it (PUBACK, PUBCOMP)."""
    STORED = "stored"
    """It is in the outbox on disk, and will be published."""


class PublishError(Exception):
    """The message is not acknowledged; the text says why, and quotes nothing of it."""

    sent = False
    """Whether a broker may have taken the message all the same."""


class LinkDownError(PublishError):
    """There is no connection to the publisher pool, or it broke before the acknowledgement."""

    def __init__(self, reason: str, *, sent: bool = True) -> None:
        super().__init__(reason)
        self.sent = sent


class BusyError(PublishError):
    """Too much waits for the brokers already."""


class ShareError(PublishError):
    """The caller has its share of what may wait."""


class AckTimeoutError(PublishError):
    """The broker did not acknowledge in time: it may or may not have taken the message."""

    sent = True


class RefusedError(PublishError):
    """The broker refused the message."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(f"the broker refused the message: {reason}")
        self.reason = reason
        self.code = code
        """MQTT 5's reason code, 0x80 or greater."""


class NotTakenError(PublishError):
    """The broker said when it was connected to that it takes no such message."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field


class Link(Protocol):
    """The link to the publisher pool."""

    def publish(self, message: Message, caller: str) -> asyncio.Future[Receipt]:
        """Publish.

        Args:
            message: what is published.
            caller: whose message it is.

        Returns:
            What is done when there is a receipt. It fails with a PublishError.

        Raises:
            PublishError: it failed at once.
        """

    async def room(self) -> None:
        """Return when there is room for another message, or there is no connection."""

    def why_down(self) -> str | None:
        """Return why nothing can be published; None if it can."""


class Hearing(Protocol):
    """What hears devices' answers."""

    def why_deaf(self) -> str | None:
        """Return why answers would not arrive now; None if they would."""
