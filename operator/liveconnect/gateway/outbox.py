"""What the outbox remembers: messages on their way, keys that were used, what was put aside."""

from __future__ import annotations

import hashlib
import math
from typing import Final

import msgspec

from liveconnect.gateway.messages import Message, MessageError
from liveconnect.gateway.publishing import PublishError, Receipt

LONGEST_KEY: Final = 255
KEPT_SECONDS: Final = 24 * 3600
"""How long a key is remembered."""

_encode_message: Final = msgspec.msgpack.Encoder().encode
_decode_message: Final = msgspec.msgpack.Decoder(Message).decode


class Stored(msgspec.Struct, gc=False):
    """A message in the outbox."""

    seq: int
    """Its number: the order in which messages were accepted."""
    message: Message
    caller: str
    keyed: bool = False
    """Whether it came with an `Idempotency-Key`."""
    expires: float | None = None
    """When nobody wants it any more: seconds since the epoch."""
    packet_id: int = 0
    """Under which it was or will be sent with QoS 2; 0 if that is open."""
    released: bool = False
    """Whether its PUBREC was taken: then it is never published again (MQTT 5, 4.3.3)."""
    sent: bool = False
    """Whether it may have been sent before."""
    deadline: float = 0.0
    """Of its acknowledgement, in the time of `time.monotonic`."""

    def at(self, now: float) -> Message | None:
        """Return the message as it is to be sent now; None if it has expired."""
        if self.expires is None or self.message.properties is None:
            return self.message
        left = math.ceil(self.expires - now)
        if left <= 0:
            return None
        properties = msgspec.structs.replace(self.message.properties, expiry=left)
        return msgspec.structs.replace(self.message, properties=properties)


class Claim(msgspec.Struct, frozen=True):
    """An `Idempotency-Key` and the request that it belongs to."""

    caller: str
    key: str
    fingerprint: bytes
    """Of the request: the same key may not come with another one."""


class Used(msgspec.Struct, frozen=True):
    """What is known of a key that was used before."""

    fingerprint: bytes
    seq: int
    """Of its message."""
    outcome: str | None
    """A Receipt's value, or what went wrong; None while the message is under way."""


class Parked(msgspec.Struct, frozen=True):
    """A message that cannot be published: kept for people to look at."""

    seq: int
    caller: str
    message: Message
    reason: str
    at: float
    """When it was parked: seconds since the epoch."""


class OutboxFullError(PublishError):
    """The outbox holds as much as it may."""


class OutboxFailedError(PublishError):
    """The outbox cannot be written; the text says why."""


class ConcludedError(PublishError):
    """The request of this key failed before; the text says how."""


class KeyReusedError(PublishError):
    """The key came with another request before."""


def fingerprint(*parts: bytes) -> bytes:
    """Return what tells one request from another."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def check_key(raw: bytes, qos: int = 1) -> str:
    """Return an `Idempotency-Key`.

    Args:
        raw: the header.
        qos: of the message that it is for.

    Raises:
        MessageError: it is not one to 255 visible characters of ASCII, or of no use.
    """
    field = "Idempotency-Key"
    if qos == 0:
        raise MessageError("for QoS 1 and 2: QoS 0 promises nothing", field)
    if not 1 <= len(raw) <= LONGEST_KEY:
        raise MessageError(f"1 to {LONGEST_KEY} characters", field)
    if not all(0x21 <= character <= 0x7E for character in raw):
        raise MessageError("visible characters of ASCII only", field)
    return raw.decode("ascii")


def encode_message(message: Message) -> bytes:
    """Return a message as it is written to disk."""
    return _encode_message(message)


def decode_message(raw: bytes) -> Message:
    """Return a message that was written to disk."""
    return _decode_message(raw)


def receipt_of(outcome: str) -> Receipt | None:
    """Return the receipt that an outcome is, None if it is a failure."""
    try:
        return Receipt(outcome)
    except ValueError:
        return None
