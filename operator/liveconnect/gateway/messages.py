"""What a microservice asks to publish: parsed, checked, never guessed. Pure."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_FIELDS = frozenset({"topic", "payload", "payloadBase64", "qos", "retain"})
_MAX_TOPIC_BYTES = 1024


@dataclass(frozen=True)
class Message:
    """One message for the broker."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


class MessageError(ValueError):
    """The request is wrong: names the field and what is wrong with it."""


def parse(raw: bytes, max_payload_bytes: int) -> Message:
    """Parse a request body.

    Raises:
        MessageError: naming the field.
    """
    try:
        body = json.loads(raw, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        if isinstance(error, MessageError):
            raise
        raise MessageError(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise MessageError("the body must be a JSON object")
    unknown = sorted(set(body) - _FIELDS)
    if unknown:
        raise MessageError(f"{unknown[0]}: unknown field; known are {', '.join(sorted(_FIELDS))}")
    payload = _payload(body)
    if len(payload) > max_payload_bytes:
        raise MessageError(f"payload: {len(payload)} bytes, at most {max_payload_bytes}")
    return Message(_topic(body), payload, _qos(body), _retain(body))


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise MessageError(f"{key}: given twice")
        found[key] = value
    return found


def _topic(body: Mapping[str, Any]) -> str:
    topic = body.get("topic")
    if not isinstance(topic, str) or not topic:
        raise MessageError("topic: a non-empty string is needed")
    if any(c in topic for c in "+#"):
        raise MessageError("topic: a topic name has no wildcards (+, #)")
    if "\x00" in topic or any(0xD800 <= ord(c) <= 0xDFFF for c in topic):
        raise MessageError("topic: NUL and unpaired surrogates are not allowed")
    if topic.startswith("$"):
        raise MessageError("topic: names that begin with $ belong to the broker")
    if len(topic.encode()) > _MAX_TOPIC_BYTES:
        raise MessageError(f"topic: at most {_MAX_TOPIC_BYTES} bytes")
    return topic


def _payload(body: Mapping[str, Any]) -> bytes:
    if ("payload" in body) == ("payloadBase64" in body):
        raise MessageError("payload: give exactly one of payload and payloadBase64")
    if "payload" in body:
        value = body["payload"]
        if isinstance(value, str):
            try:
                return value.encode()
            except UnicodeEncodeError as error:
                raise MessageError("payload: unpaired surrogates are not allowed") from error
        if isinstance(value, dict | list):
            return json.dumps(value, separators=(",", ":")).encode()
        raise MessageError("payload: a string, an object or an array is needed")
    value = body["payloadBase64"]
    if not isinstance(value, str):
        raise MessageError("payloadBase64: a string is needed")
    try:
        return b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MessageError("payloadBase64: not base64 (RFC 4648, section 4)") from error


def _qos(body: Mapping[str, Any]) -> int:
    qos = body.get("qos", 1)
    if isinstance(qos, bool) or not isinstance(qos, int) or qos not in {0, 1, 2}:
        raise MessageError("qos: 0, 1 or 2 is needed")
    return qos


def _retain(body: Mapping[str, Any]) -> bool:
    retain = body.get("retain", False)
    if not isinstance(retain, bool):
        raise MessageError("retain: true or false is needed")
    return retain


def may_publish(filters: Sequence[str], topic: str) -> bool:
    """Whether one of the filters covers the topic name (MQTT 5, section 4.7)."""
    return any(_covers(f.split("/"), topic.split("/")) for f in filters)


def _covers(levels: Sequence[str], topic: Sequence[str]) -> bool:
    for index, level in enumerate(levels):
        if level == "#":
            return True
        if index >= len(topic) or level not in {"+", topic[index]}:
            return False
    return len(levels) == len(topic)
