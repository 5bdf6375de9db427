"""What the query says of a message whose body is its payload.

`POST /v1/publish?topic=orders/7&qos=2` with `text/plain`, `application/octet-stream`, or a
CloudEvent (MQTT protocol binding 1.0.2, over HTTP protocol binding 1.0.2).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from liveconnect.gateway.messages.address import Address, Topics
from liveconnect.gateway.messages.checks import (
    check_correlation,
    check_delivery,
    check_expiry,
    check_length,
    check_qos,
    check_size,
)
from liveconnect.gateway.messages.fault import FaultKind, MessageError
from liveconnect.gateway.messages.fields import DEFAULT_TIMEOUT
from liveconnect.gateway.messages.limits import Limits
from liveconnect.gateway.messages.message import Message
from liveconnect.gateway.messages.properties import Properties
from liveconnect.gateway.messages.publication import Delivery, Publication
from liveconnect.gateway.messages.question import Question, check_question
from liveconnect.gateway.messages.topic import check_topic

KNOWN: Final = (
    "topic", "clientId", "group", "qos", "retain", "messageExpirySeconds", "responseTopic",
    "correlationDataBase64", "delivery",
)  # fmt: skip
TIMEOUT: Final = "timeoutSeconds"
_BOOLEANS: Final = {"true": True, "false": False}
_LONGEST_NUMBER: Final = 10


def parse_plain(
    query: bytes,
    payload: bytes,
    limits: Limits,
    topics: Topics,
    address: Address | None = None,
    carried: Properties | None = None,
) -> Publication:
    """Read a request whose body is the payload.

    Args:
        query: of the request, still encoded.
        payload: the body.
        limits: bounds of a message.
        topics: what clients' and groups' topics are.
        address: whom it is for, if the path says it.
        carried: properties that come from elsewhere: content type, user properties.

    Raises:
        MessageError: it is not the request that it must be.
    """
    return _publication(_options(query, KNOWN), payload, limits, topics, address, carried)


def parse_plain_request(
    query: bytes,
    payload: bytes,
    limits: Limits,
    topics: Topics,
    address: Address | None,
    carried: Properties,
) -> Question:
    """Read a request to a client whose body is the payload; arguments as of `parse_plain`.

    Raises:
        MessageError: it is not the request that it must be.
    """
    options = _options(query, (*KNOWN, TIMEOUT))
    publication = _publication(options, payload, limits, topics, address, carried)
    timeout = options.get(TIMEOUT)
    return check_question(
        publication, DEFAULT_TIMEOUT if timeout is None else _number(timeout, TIMEOUT)
    )


def _publication(
    options: dict[str, str],
    payload: bytes,
    limits: Limits,
    topics: Topics,
    address: Address | None,
    carried: Properties | None,
) -> Publication:
    address = _address(options, address)
    carried = carried or Properties()
    expiry, correlation = options.get("messageExpirySeconds"), options.get("correlationDataBase64")
    answer_to = options.get("responseTopic")
    levels = limits.topic_levels
    properties = Properties(
        expiry=None if expiry is None else check_expiry(_number(expiry, "messageExpirySeconds")),
        response_topic=answer_to and check_topic(answer_to, levels, "responseTopic"),
        correlation=None if correlation is None else check_correlation(correlation),
        content_type=carried.content_type,
        user=carried.user,
    )
    message = Message(
        topics.of(address),
        check_size(payload, limits.payload_bytes),
        check_qos(_number(options.get("qos", "1"), "qos")),
        _boolean(options.get("retain", "false"), "retain"),
        None if properties == Properties() else properties,
    )
    delivery = check_delivery(options.get("delivery", Delivery.ACCEPTED.value))
    return Publication(check_length(message, limits.packet_bytes), delivery, address.client_id)


def _options(query: bytes, known: tuple[str, ...]) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, strict_parsing=bool(query),
            errors="strict", max_num_fields=len(known),
        )  # fmt: skip
    except ValueError:
        detail = "not names and values in percent-encoded UTF-8"
        raise MessageError(f"the query: {detail}", kind=FaultKind.SYNTAX) from None
    options: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            raise MessageError(f"unknown; known are {', '.join(known)}", name[:64])
        if name in options:
            raise MessageError("it is given twice", name)
        options[name] = value
    return options


def _address(options: dict[str, str], address: Address | None) -> Address:
    given = {name: options.get(name) for name in ("topic", "clientId", "group")}
    if address is None:
        return Address(given["topic"], given["clientId"], given["group"])
    for field, value in given.items():
        if value is not None:
            raise MessageError("the path says already whom the message is for", field)
    return address


def _number(text: str, field: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER):
        raise MessageError("a number is needed", field)
    return int(text)


def _boolean(text: str, field: str) -> bool:
    try:
        return _BOOLEANS[text]
    except KeyError:
        raise MessageError("true or false", field) from None
