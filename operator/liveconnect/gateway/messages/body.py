"""The JSON body of a publish request, and each line of a batch.

Each field is checked by itself, so that the answer can name it. msgspec reads the JSON; it keeps
the last of duplicate keys, so they are looked for separately, and only where there can be any.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from liveconnect.common.jsonerrors import MALFORMED
from liveconnect.gateway.messages.address import Address, Topics
from liveconnect.gateway.messages.checks import (
    check_correlation,
    check_delivery,
    check_expiry,
    check_length,
    check_qos,
    check_size,
    check_text,
    check_user_properties,
    from_base64,
)
from liveconnect.gateway.messages.fault import FaultKind, MessageError
from liveconnect.gateway.messages.fields import Content, RequestContent
from liveconnect.gateway.messages.limits import Limits
from liveconnect.gateway.messages.message import Message
from liveconnect.gateway.messages.properties import Properties
from liveconnect.gateway.messages.publication import Delivery, Publication
from liveconnect.gateway.messages.question import Question, check_question
from liveconnect.gateway.messages.topic import check_topic

_QUOTE: Final = 0x22
_OPENING: Final = frozenset(b"{[")
_LOCATION: Final = re.compile(r" - at `\$\.(\w+)`$")
_UNKNOWN_FIELD: Final = re.compile(
    r"^Object contains unknown field `(.*?)`(?: - at `\$\.(\w+)`)?$", re.DOTALL
)
_SHOWN: Final = 64
"""Characters of an unknown field's name that are repeated to the caller."""

_Model = TypeVar("_Model", bound=msgspec.Struct)


class Form(Generic[_Model]):
    """The fields that a body may have."""

    def __init__(self, model: type[_Model]) -> None:
        self.fields = tuple(field.encode_name for field in msgspec.structs.fields(model))
        names = "|".join(map(re.escape, self.fields))
        self.quoted = re.compile(f'"(?:{names})"'.encode())
        self.decode = msgspec.json.Decoder(model).decode


_MESSAGE: Final = Form(Content)
_REQUEST: Final = Form(RequestContent)
_decode_text: Final = msgspec.json.Decoder(str).decode


def parse(
    raw: bytes, limits: Limits, topics: Topics, address: Address | None = None
) -> Publication:
    """Read a body.

    Args:
        raw: the JSON.
        limits: bounds of a message.
        topics: what clients' and groups' topics are.
        address: whom it is for, if the path says it already.

    Raises:
        MessageError: it is not the request that it must be.
    """
    return _publication(read(raw, _MESSAGE), limits, topics, address)


def parse_request(raw: bytes, limits: Limits, topics: Topics, address: Address | None) -> Question:
    """Read the body of a request to a client.

    Args:
        raw: the JSON.
        limits: bounds of a message.
        topics: what clients' topics of requests are.
        address: the client, which the path says.

    Raises:
        MessageError: it is not the request that it must be.
    """
    content = read(raw, _REQUEST)
    publication = _publication(content, limits, topics, address)
    return check_question(publication, content.timeout_seconds)


def read(raw: bytes, form: Form[_Model]) -> _Model:
    """Return the content of a body.

    Raises:
        MessageError: it is none such.
    """
    content = _decode(raw, form)
    _refuse_duplicates(raw, form.quoted)
    return content


def _publication(
    content: Content, limits: Limits, topics: Topics, address: Address | None
) -> Publication:
    if address is None and content.client_id is UNSET and content.group is UNSET:
        client_id = None
        if isinstance(content.topic, UnsetType):
            raise MessageError("it is missing (or clientId, or group)", "topic")
        topic = check_topic(content.topic, limits.topic_levels)
    else:
        address = _addressed(content, address)
        client_id, topic = address.client_id, topics.of(address)
    message = Message(
        topic,
        _payload(content, limits.payload_bytes),
        check_qos(content.qos),
        content.retain,
        _properties(content, limits),
    )
    return Publication(
        check_length(message, limits.packet_bytes),
        Delivery.ACCEPTED if content.delivery is UNSET else check_delivery(content.delivery),
        client_id,
    )


def _decode(raw: bytes, form: Form[_Model]) -> _Model:
    if not raw:
        raise MessageError("the body is empty", kind=FaultKind.SYNTAX)
    try:
        if not raw.isascii():
            raw.decode("utf-8")  # msgspec looks at the text that it decodes, not at all of it
        return form.decode(raw)
    except msgspec.ValidationError as error:
        raise _of_validation(str(error), form.fields) from None
    except UnicodeDecodeError:
        raise MessageError("the body is not UTF-8", kind=FaultKind.SYNTAX) from None
    except RecursionError:
        raise MessageError("the body is nested too deeply", kind=FaultKind.SYNTAX) from None
    except MALFORMED as error:
        raise MessageError(f"the body is not JSON: {error}", kind=FaultKind.SYNTAX) from None


def _of_validation(message: str, fields: tuple[str, ...]) -> MessageError:
    unknown = _UNKNOWN_FIELD.match(message)
    if unknown is not None:
        where = f" of {unknown[2]}" if unknown[2] else f"; known are {', '.join(fields)}"
        return MessageError(f"unknown field{where}", unknown[1][:_SHOWN])
    location = _LOCATION.search(message)
    if location is None:
        return MessageError("the body must be a JSON object", kind=FaultKind.SYNTAX)
    return MessageError(message[: location.start()].replace("`", ""), location[1])


def _refuse_duplicates(raw: bytes, quoted: re.Pattern[bytes]) -> None:
    """Refuse a field that is given twice: which of them was meant?

    Without a backslash a name stands in the body as it is written here: then it is enough to look
    for names. (Inside a payload names may repeat; that is the payload's own affair.)
    """
    if b"\\" not in raw:
        found = quoted.findall(raw)
        if len(found) == len(set(found)):
            return
    _refuse_repeated(_pairs(raw))


def _refuse_repeated(names: list[tuple[str, Any]], field: str | None = None) -> None:
    seen: set[str] = set()
    for name, _ in names:
        if name in seen:
            raise MessageError("it is given twice", field or name)
        seen.add(name)


def _pairs(raw: bytes) -> list[tuple[str, Any]]:
    """Return the members of an object, repeated ones too."""
    try:
        top = json.loads(raw, object_pairs_hook=_Pairs, parse_int=_skip, parse_float=_skip)
    except RecursionError:
        raise MessageError("the body is nested too deeply", kind=FaultKind.SYNTAX) from None
    return top.pairs if isinstance(top, _Pairs) else []


def _skip(_number: str) -> None:
    """Not convert: it may have thousands of digits, and nobody wants it."""


class _Pairs:
    """An object as it was written."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


def _addressed(content: Content, address: Address | None) -> Address:
    given = Address(_given(content.topic), _given(content.client_id), _given(content.group))
    if address is None:
        return given
    for field, value in (
        ("topic", given.topic), ("clientId", given.client_id), ("group", given.group),
    ):  # fmt: skip
        if value is not None:
            raise MessageError("the path says already whom the message is for", field)
    return address


def _given(value: str | UnsetType) -> str | None:
    return None if isinstance(value, UnsetType) else value


def _payload(content: Content, most: int) -> bytes:
    if (content.payload is UNSET) == (content.payload_base64 is UNSET):
        raise MessageError("give exactly one of payload and payloadBase64", "payload")
    if isinstance(content.payload, msgspec.Raw):
        return check_size(_plain(bytes(content.payload)), most)
    assert isinstance(content.payload_base64, str)  # noqa: S101 - exactly one is set
    field = "payloadBase64"
    return check_size(from_base64(content.payload_base64, field), most, field)


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


def _properties(content: Content, limits: Limits) -> Properties | None:
    expiry, kind, answer_to, correlation, user = (
        content.message_expiry_seconds,
        content.content_type,
        content.response_topic,
        content.correlation_data_base64,
        content.user_properties,
    )
    if (
        expiry is UNSET
        and kind is UNSET
        and answer_to is UNSET
        and correlation is UNSET
        and user is UNSET
    ):
        return None
    field, levels = "responseTopic", limits.topic_levels
    return Properties(
        expiry=None if isinstance(expiry, UnsetType) else check_expiry(expiry),
        content_type=None if isinstance(kind, UnsetType) else check_text(kind, "contentType"),
        response_topic=None
        if isinstance(answer_to, UnsetType)
        else check_topic(answer_to, levels, field),
        correlation=None if isinstance(correlation, UnsetType) else check_correlation(correlation),
        user=() if isinstance(user, UnsetType) else _user_properties(bytes(user)),
    )


def _user_properties(raw: bytes) -> tuple[tuple[str, str], ...]:
    field = "userProperties"
    if raw[:1] != b"{":
        raise MessageError("expected object", field)
    pairs = _pairs(raw)
    _refuse_repeated(pairs, field)
    if not all(isinstance(value, str) for _, value in pairs):
        raise MessageError("every value is a string", field)
    return check_user_properties(pairs)
