"""Values of fields, each by itself."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterable
from typing import Final

from liveconnect.common.topics import MAX_TOPIC_BYTES
from liveconnect.gateway.messages.fault import FaultKind, MessageError
from liveconnect.gateway.messages.message import Message
from liveconnect.gateway.messages.publication import Delivery
from liveconnect.gateway.messages.topic import UNPRINTABLE

_MOST_SECONDS: Final = 2**32 - 1
_MOST_PROPERTIES: Final = 64
_MOST_PROPERTY_BYTES: Final = 16 * 1024
_MOST_CORRELATION_BYTES: Final = 1024
_LONGEST_REST: Final = MAX_TOPIC_BYTES + 8
"""More than anything else of a message without properties can take."""
_DELIVERIES: Final = {delivery.value: delivery for delivery in Delivery}


def check_qos(qos: int) -> int:
    """Return the quality of service (MQTT 5, 4.3)."""
    if qos not in {0, 1, 2}:
        raise MessageError("0, 1 or 2", "qos")
    return qos


def check_expiry(seconds: int) -> int:
    """Return a message expiry interval (MQTT 5, 3.3.2.3.3)."""
    if not 1 <= seconds <= _MOST_SECONDS:
        raise MessageError(f"1 to {_MOST_SECONDS} seconds", "messageExpirySeconds")
    return seconds


def check_delivery(word: str) -> Delivery:
    """Return what the word means."""
    try:
        return _DELIVERIES[word]
    except KeyError:
        raise MessageError(" or ".join(_DELIVERIES), "delivery") from None


def check_text(text: str, field: str, most_bytes: int = 1024) -> str:
    """Return a text that may be a property (MQTT 5, 1.5.4)."""
    if UNPRINTABLE.search(text):
        raise MessageError("control characters, NUL among them, are not allowed", field)
    if len(text.encode()) > most_bytes:
        raise MessageError(f"at most {most_bytes} bytes of UTF-8", field, FaultKind.SIZE)
    return text


def check_user_properties(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return user properties (MQTT 5, 3.3.2.3.7)."""
    kept = tuple(pairs)
    field = "userProperties"
    if len(kept) > _MOST_PROPERTIES:
        raise MessageError(f"at most {_MOST_PROPERTIES}", field, FaultKind.SIZE)
    size = 0
    for name, value in kept:
        if not name:
            raise MessageError("a name has at least one character", field)
        for text in (name, value):
            size += len(check_text(text, field, _MOST_PROPERTY_BYTES).encode())
    if size > _MOST_PROPERTY_BYTES:
        raise MessageError(f"{size} bytes, at most {_MOST_PROPERTY_BYTES}", field, FaultKind.SIZE)
    return kept


def from_base64(text: str, field: str) -> bytes:
    """Return the bytes that base64 with padding means (RFC 4648, section 4)."""
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MessageError("not base64 (RFC 4648, section 4)", field) from None


def check_correlation(text: str) -> bytes:
    """Return correlation data."""
    correlation = from_base64(text, "correlationDataBase64")
    if len(correlation) > _MOST_CORRELATION_BYTES:
        raise MessageError(
            f"at most {_MOST_CORRELATION_BYTES} bytes", "correlationDataBase64", FaultKind.SIZE
        )
    return correlation


def check_length(message: Message, most: int) -> Message:
    """Return a message that the brokers take, topic and properties included."""
    if message.properties is None and len(message.payload) + _LONGEST_REST <= most:
        return message
    size = message.packet_bytes
    if size > most:
        detail = f"{size} bytes with topic and properties, at most {most}"
        raise MessageError(detail, "payload", FaultKind.SIZE)
    return message


def check_size(payload: bytes, most: int, field: str = "payload") -> bytes:
    """Return a payload that is short enough."""
    if len(payload) > most:
        raise MessageError(f"{len(payload)} bytes, at most {most}", field, FaultKind.SIZE)
    return payload
