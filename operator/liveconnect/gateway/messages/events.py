"""CloudEvents over HTTP, and what each becomes over MQTT.

Structured: the event is the payload as it came, its media type the content type. Binary: the data
are the payload, each attribute is a user property of its name (CloudEvents 1.0.2, bindings of HTTP
and MQTT). msgspec checks the attributes. The library `cloudevents` (2.2) makes up an id or a time
that is missing and takes the data apart; here the data stay as they were sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Literal
from urllib.parse import unquote

import msgspec
from msgspec import Meta, Raw

from liveconnect.common.jsonerrors import MALFORMED
from liveconnect.gateway.messages.checks import check_text, check_user_properties
from liveconnect.gateway.messages.fault import FaultKind, MessageError
from liveconnect.gateway.messages.properties import Properties

STRUCTURED: Final = "application/cloudevents+json"
_PREFIX: Final = "ce-"
_VERSION: Final = b"ce-specversion"
_NAME: Final = re.compile("[a-z0-9]+")
_LOCATION: Final = re.compile(r" - at `\$\.(\w+)`$")
_MISSING: Final = re.compile(r"^Object missing required field `(\w+)`$")

_Some = Annotated[str, Meta(min_length=1)]


class _Attributes(msgspec.Struct):
    """What CloudEvents 1.0 demands of the attributes that it names."""

    specversion: Literal["1.0"]
    id: _Some
    source: _Some
    type: _Some
    subject: _Some | None = None
    datacontenttype: _Some | None = None
    dataschema: _Some | None = None
    time: Annotated[datetime, Meta(tz=True)] | None = None


def is_binary_event(headers: Mapping[bytes, bytes]) -> bool:
    """Return whether the headers say that the body is a CloudEvent's data."""
    return _VERSION in headers


def binary_event(headers: Mapping[bytes, bytes]) -> Properties:
    """Return the properties that a CloudEvent's headers become.

    Raises:
        MessageError: they make no CloudEvent 1.0.
    """
    attributes = {}
    for raw_name, value in headers.items():
        name = raw_name.decode("latin-1")
        if name.startswith(_PREFIX):
            attributes[name.removeprefix(_PREFIX)] = _percent_decoded(name, value)
    _check_names(attributes)
    try:
        msgspec.convert(attributes, _Attributes)
    except msgspec.ValidationError as error:
        raise _fault(str(error)) from None
    kind = headers.get(b"content-type")
    return Properties(
        content_type=check_text(kind.decode("latin-1"), "Content-Type") if kind else None,
        user=check_user_properties(attributes.items()),
    )


def structured_event(body: bytes) -> Properties:
    """Return the properties of an event that is in the body as a whole.

    Raises:
        MessageError: it is no CloudEvent 1.0 in JSON.
    """
    try:
        body.decode("utf-8")
        members = msgspec.json.decode(body, type=dict[str, Raw])
        msgspec.json.decode(body, type=_Attributes)
    except msgspec.ValidationError as error:
        raise _fault(str(error)) from None
    except MALFORMED:
        raise MessageError("the body is not JSON in UTF-8", kind=FaultKind.SYNTAX) from None
    if "data" in members and "data_base64" in members:
        raise MessageError("not together with data", "data_base64")
    _check_names(members.keys() - {"data", "data_base64"})
    return Properties(content_type=STRUCTURED)


def _percent_decoded(name: str, value: bytes) -> str:
    try:
        return unquote(value.decode("latin-1"), errors="strict")
    except UnicodeDecodeError:
        raise MessageError("not percent-encoded UTF-8", name) from None


def _check_names(names: Mapping[str, object] | set[str]) -> None:
    for name in names:
        if not _NAME.fullmatch(name):
            raise MessageError("an attribute's name has only a-z and 0-9", name[:64])


def _fault(message: str) -> MessageError:
    missing = _MISSING.match(message)
    if missing is not None:
        return MessageError("a CloudEvent has this attribute", missing[1])
    location = _LOCATION.search(message)
    if location is None:
        return MessageError("the body must be a JSON object", kind=FaultKind.SYNTAX)
    return MessageError(message[: location.start()].replace("`", ""), location[1])
