"""The body of `POST /v1/publish`.

Each field is checked by itself, so that the answer can name it. msgspec reads the JSON; it keeps
the last of duplicate keys, so they are looked for separately, and only where there can be any.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from typing import Any, Final

import msgspec

from liveconnect.common.jsonerrors import MALFORMED
from liveconnect.common.topics import MAX_TOPIC_BYTES, is_reserved
from liveconnect.gateway.messages.fault import FaultKind, MessageError
from liveconnect.gateway.messages.limits import Limits
from liveconnect.gateway.messages.message import Message

_QUOTE: Final = 0x22
_OPENING: Final = frozenset(b"{[")
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
"""A broker may take these for a malformed packet (MQTT 5, 1.5.4) and cut the connection."""
_LOCATION: Final = re.compile(r" - at `\$\.(\w+)`$")
_UNKNOWN_FIELD: Final = re.compile(r"^Object contains unknown field `(.*)`$", re.DOTALL)
_SHOWN: Final = 64
"""Characters of an unknown field's name that are repeated to the caller."""


class _Body(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    topic: str
    payload: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    payload_base64: str | msgspec.UnsetType = msgspec.UNSET
    qos: int = 1
    retain: bool = False


_FIELDS: Final = tuple(field.encode_name for field in msgspec.structs.fields(_Body))
_QUOTED: Final = tuple(f'"{field}"'.encode() for field in _FIELDS)
_decode_body: Final = msgspec.json.Decoder(_Body).decode
_decode_text: Final = msgspec.json.Decoder(str).decode


def parse(raw: bytes, limits: Limits) -> Message:
    """Read a request body.

    Raises:
        MessageError: it is not the request that it must be.
    """
    body = _decode(raw)
    _refuse_duplicates(raw)
    return Message(
        topic=_check_topic(body.topic, limits.topic_levels),
        payload=_check_size(body, _payload(body), limits.payload_bytes),
        qos=_check_qos(body.qos),
        retain=body.retain,
    )


def _decode(raw: bytes) -> _Body:
    if not raw:
        raise MessageError("the body is empty", kind=FaultKind.SYNTAX)
    try:
        if not raw.isascii():
            raw.decode("utf-8")  # msgspec looks at the text that it decodes, not at all of it
        return _decode_body(raw)
    except msgspec.ValidationError as error:
        raise _of_validation(str(error)) from None
    except UnicodeDecodeError:
        raise MessageError("the body is not UTF-8", kind=FaultKind.SYNTAX) from None
    except RecursionError:
        raise MessageError("the body is nested too deeply", kind=FaultKind.SYNTAX) from None
    except MALFORMED as error:
        raise MessageError(f"the body is not JSON: {error}", kind=FaultKind.SYNTAX) from None


def _of_validation(message: str) -> MessageError:
    unknown = _UNKNOWN_FIELD.match(message)
    if unknown is not None:
        known = ", ".join(_FIELDS)
        return MessageError(f"unknown field; known are {known}", unknown[1][:_SHOWN])
    if message == "Object missing required field `topic`":
        return MessageError("it is missing", "topic")
    location = _LOCATION.search(message)
    if location is None:
        return MessageError("the body must be a JSON object", kind=FaultKind.SYNTAX)
    return MessageError(message[: location.start()].replace("`", ""), location[1])


def _refuse_duplicates(raw: bytes) -> None:
    """Refuse a field that is given twice: which of them was meant?

    Without a backslash a name stands in the body as it is written here: then it is enough to
    count. (Inside a payload names may repeat; that is the payload's own affair.)
    """
    if b"\\" not in raw:
        for name in _QUOTED:
            if raw.count(name) > 1:
                break
        else:
            return
    try:
        top = json.loads(raw, object_pairs_hook=_Pairs, parse_int=_skip, parse_float=_skip)
    except RecursionError:
        raise MessageError("the body is nested too deeply", kind=FaultKind.SYNTAX) from None
    seen: set[str] = set()
    for name in top.names:
        if name in seen:
            raise MessageError("it is given twice", name)
        seen.add(name)


def _skip(_number: str) -> None:
    """Not convert: it may have thousands of digits, and nobody wants it."""


class _Pairs:
    """An object of which only the names are wanted."""

    __slots__ = ("names",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.names = [name for name, _ in pairs]


def _check_topic(topic: str, max_levels: int) -> str:
    if not topic:
        raise MessageError("a topic name has at least one character", "topic")
    if "+" in topic or "#" in topic:
        raise MessageError("a topic name has no wildcards (+ and #)", "topic")
    if not topic.isprintable() and _UNPRINTABLE.search(topic):
        raise MessageError("control characters, NUL among them, are not allowed", "topic")
    if is_reserved(topic):
        raise MessageError("names that begin with $ are the broker's own", "topic")
    if topic.count("/") >= max_levels:
        raise MessageError(f"at most {max_levels} levels", "topic")
    if len(topic) * 4 > MAX_TOPIC_BYTES and len(topic.encode()) > MAX_TOPIC_BYTES:
        raise MessageError(f"at most {MAX_TOPIC_BYTES} bytes of UTF-8", "topic", FaultKind.SIZE)
    return topic


def _payload(body: _Body) -> bytes:
    if (body.payload is msgspec.UNSET) == (body.payload_base64 is msgspec.UNSET):
        raise MessageError("give exactly one of payload and payloadBase64", "payload")
    if isinstance(body.payload, msgspec.Raw):
        return _plain(bytes(body.payload))
    assert isinstance(body.payload_base64, str)  # noqa: S101 - exactly one is set
    try:
        return b64decode(body.payload_base64, validate=True)
    except (binascii.Error, ValueError):
        raise MessageError("not base64 (RFC 4648, section 4)", "payloadBase64") from None


def _plain(raw: bytes) -> bytes:
    """Return the payload that a JSON value means.

    A string is its text; an object or array is itself, as it was written but for white space:
    numbers keep their digits.
    """
    if raw[0] == _QUOTE:
        return raw[1:-1] if b"\\" not in raw else _decode_text(raw).encode()
    if raw[0] in _OPENING:
        return msgspec.json.format(raw, indent=-1)
    raise MessageError("expected str, object or array", "payload")


def _check_size(body: _Body, payload: bytes, most: int) -> bytes:
    if len(payload) > most:
        field = "payload" if body.payload_base64 is msgspec.UNSET else "payloadBase64"
        raise MessageError(f"{len(payload)} bytes, at most {most}", field, FaultKind.SIZE)
    return payload


def _check_qos(qos: int) -> int:
    if qos not in {0, 1, 2}:
        raise MessageError("0, 1 or 2", "qos")
    return qos
