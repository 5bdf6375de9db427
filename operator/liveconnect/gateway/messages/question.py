"""A request to a device: a message that names where its answer goes."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from liveconnect.gateway.messages.fault import MessageError
from liveconnect.gateway.messages.message import Message
from liveconnect.gateway.messages.properties import Properties
from liveconnect.gateway.messages.publication import Publication

LONGEST_TIMEOUT: Final = 3600
LEVELS: Final = 2
"""Levels that follow a client's own topic: pod and request."""
_ID: Final = re.compile(r"([0-9]{1,9})-([0-9a-f]{32})")


class RequestId(msgspec.Struct, frozen=True):
    """A request's name: `<pod>-<token>` in URLs and correlation data, two levels in topics."""

    pod: int
    """Ordinal of the gateway's pod that hears the answer."""
    token: str
    """32 hexadecimal digits."""

    def __str__(self) -> str:
        return f"{self.pod}-{self.token}"

    @property
    def levels(self) -> str:
        """The end of its topics."""
        return f"{self.pod}/{self.token}"

    @classmethod
    def of(cls, text: str) -> RequestId | None:
        """Return the id that a text is; None if it is none."""
        match = _ID.fullmatch(text)
        return None if match is None else cls(int(match[1]), match[2])


class Question(msgspec.Struct, frozen=True):
    """What a device is to be asked."""

    publication: Publication
    """Its topic lacks the last two levels."""
    timeout: int
    """Seconds after which the answer is of no use."""

    def message(self, request: RequestId, reply_topic: str) -> Message:
        """Return the message that asks.

        Args:
            request: its name.
            reply_topic: `spec.gateway.requests.replyTopic`.
        """
        asked = self.publication.message
        answer_to = reply_topic.replace("{clientId}", self.publication.client_id or "")
        given = asked.properties or Properties()
        return msgspec.structs.replace(
            asked,
            topic=f"{asked.topic}/{request.levels}",
            properties=msgspec.structs.replace(
                given,
                # Who comes back later shall not do what nobody waits for any more.
                expiry=given.expiry or self.timeout,
                response_topic=f"{answer_to}/{request.levels}",
                correlation=str(request).encode(),
            ),
        )


def check_question(publication: Publication, timeout: int) -> Question:
    """Return a request to a device.

    Raises:
        MessageError: it says what a request cannot have.
    """
    properties = publication.message.properties or Properties()
    if not 1 <= timeout <= LONGEST_TIMEOUT:
        raise MessageError(f"1 to {LONGEST_TIMEOUT} seconds", "timeoutSeconds")
    if publication.message.retain:
        raise MessageError("a request is for now: it is not retained", "retain")
    if properties.response_topic is not None:
        raise MessageError("the gateway's own: the answer comes back to you", "responseTopic")
    if properties.correlation is not None:
        raise MessageError("the gateway's own", "correlationDataBase64")
    if properties.expiry is not None and properties.expiry > timeout:
        raise MessageError(
            f"more than timeoutSeconds ({timeout}): nobody waits so long", "messageExpirySeconds"
        )
    return Question(publication, timeout)
