"""Whether a caller's message may be published: permissions, quota, presence, key."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Final

import msgspec

from liveconnect.common.logs import get_logger
from liveconnect.common.problem import Problem
from liveconnect.gateway import answers
from liveconnect.gateway.messages import Message, MessageError, Permissions, Publication
from liveconnect.gateway.outbox import Claim, check_key, encode_message, fingerprint
from liveconnect.gateway.presence import ClientPresence, Presence, PresenceUnavailableError
from liveconnect.gateway.quotas import Quotas

KEY: Final = b"idempotency-key"

_log = get_logger(__name__)


class Admission:
    """Lets messages pass, or says why not."""

    def __init__(self, permissions: Permissions, quotas: Quotas, presence: Presence) -> None:
        self._permissions = permissions
        self._quotas = quotas
        self._presence = presence

    def admit(self, subject: str, publication: Publication) -> Message:
        """Return the message, if its caller may publish it.

        Raises:
            Problem: 403, the caller may not.
        """
        self.check_topic(subject, publication.message.topic)
        return publication.message

    def check_topic(self, subject: str, topic: str) -> None:
        """Let a caller pass that may publish to a topic.

        Raises:
            Problem: 403, the caller may not.
        """
        if not self._permissions.allows(subject, topic):
            _log.info("refused", reason="topic", subject=subject, topic=topic)
            detail = f"{subject} may not publish to this topic; see spec.gateway.callers"
            raise Problem(403, detail, extra={"field": "topic"})

    def take_quota(self, subject: str, messages: int) -> None:
        """Take messages out of the caller's quota.

        Raises:
            Problem: 429, it is used up.
        """
        wait = self._quotas.take(subject, messages, time.monotonic())
        if wait:
            later = {"Retry-After": str(math.ceil(wait))}
            detail = (
                "too many messages a second at this pod, which grants its share of "
                "spec.gateway.callers[].messagesPerSecond"
            )
            raise Problem(429, detail, later, {"sent": False})

    async def require_online(self, client_id: str | None) -> None:
        """Let messages pass whose client is connected now; it may be gone when they arrive.

        Raises:
            Problem: 409, it is not; 503, nobody can say; 422, there is no such client.
        """
        if client_id is None:
            detail = "delivery: online-only is for a client, not for a topic or group"
            raise Problem(422, detail, extra={"field": "delivery"})
        try:
            found = await self._presence.of(client_id)
        except PresenceUnavailableError as error:
            detail = f"whether the client is online cannot be said: {error}"
            raise Problem(503, detail, {"Retry-After": "2"}, {"sent": False}) from None
        if not found.online:
            raise not_online(found)

    async def presence_of(self, client_id: str) -> ClientPresence | None:
        """Return what is known of a client; None if nobody can say."""
        try:
            return await self._presence.of(client_id)
        except PresenceUnavailableError:
            return None


def not_online(found: ClientPresence) -> Problem:
    """Return the answer to `online-only` for a client that is away."""
    detail = "the client is not online; nothing was published"
    return Problem(409, detail, extra={"sent": False, "presence": msgspec.to_builtins(found)})


def claim_of(subject: str, headers: Mapping[bytes, bytes], message: Message) -> Claim | None:
    """Return a message's claim to its `Idempotency-Key`; None if it has none.

    Raises:
        Problem: 422, the key cannot be used.
    """
    raw = headers.get(KEY)
    if raw is None:
        return None
    return Claim(subject, checked_key(raw, message.qos), fingerprint(encode_message(message)))


def checked_key(raw: bytes, qos: int = 1) -> str:
    """Return an `Idempotency-Key` for a message of this QoS.

    Raises:
        Problem: 422, it cannot be used.
    """
    try:
        return check_key(raw, qos)
    except MessageError as error:
        raise answers.of_message_error(error) from None
