"""Properties and addresses in a JSON body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from liveconnect.gateway.messages import (
    Address,
    Delivery,
    Limits,
    MessageError,
    Properties,
    Publication,
    Topics,
    parse,
    parse_line,
    split_batch,
)

LIMITS = Limits(payload_bytes=64, topic_levels=10, batch_items=3)
TOPICS = Topics("clients/{clientId}/inbox", "groups/{group}/inbox", 10)


def read(address: Address | None = None, **body: Any) -> Publication:
    return parse(json.dumps({"payload": "", **body}).encode(), LIMITS, TOPICS, address)


def test_all_properties() -> None:
    publication = read(
        topic="a", messageExpirySeconds=60, contentType="text/plain", responseTopic="b",
        correlationDataBase64="/w==", userProperties={"x": "1", "y": ""}, delivery="accepted",
    )  # fmt: skip
    assert publication.message.properties == Properties(
        expiry=60, content_type="text/plain", response_topic="b", correlation=b"\xff",
        user=(("x", "1"), ("y", "")),
    )  # fmt: skip
    assert publication.delivery is Delivery.ACCEPTED


def test_no_properties_are_none() -> None:
    assert read(topic="a").message.properties is None


def test_addresses() -> None:
    assert read(clientId="c").message.topic == "clients/c/inbox"
    assert read(clientId="c").client_id == "c"
    assert read(group="g").message.topic == "groups/g/inbox"
    assert read(Address(client_id="$c")).message.topic == "clients/$c/inbox"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "topic"),
        ({"topic": "a", "clientId": "c"}, "topic"),
        ({"clientId": ""}, "clientId"),
        ({"clientId": "a/b"}, "clientId"),
        ({"clientId": "+"}, "clientId"),
        ({"clientId": "a\0"}, "clientId"),
        ({"group": "#"}, "group"),
        ({"topic": "a", "messageExpirySeconds": 0}, "messageExpirySeconds"),
        ({"topic": "a", "messageExpirySeconds": 2**32}, "messageExpirySeconds"),
        ({"topic": "a", "messageExpirySeconds": None}, "messageExpirySeconds"),
        ({"topic": "a", "contentType": "a\0"}, "contentType"),
        ({"topic": "a", "contentType": "a" * 1025}, "contentType"),
        ({"topic": "a", "responseTopic": "a/#"}, "responseTopic"),
        ({"topic": "a", "correlationDataBase64": "*"}, "correlationDataBase64"),
        ({"topic": "a", "correlationDataBase64": "eHh4" * 400}, "correlationDataBase64"),
        ({"topic": "a", "userProperties": []}, "userProperties"),
        ({"topic": "a", "userProperties": {"x": 1}}, "userProperties"),
        ({"topic": "a", "userProperties": {"": "1"}}, "userProperties"),
        ({"topic": "a", "userProperties": {"x": "\x00"}}, "userProperties"),
        ({"topic": "a", "userProperties": {"x": "a" * 20_000}}, "userProperties"),
        ({"topic": "a", "userProperties": {str(n): "" for n in range(65)}}, "userProperties"),
        ({"topic": "a", "delivery": "never"}, "delivery"),
    ],
)
def test_faults(body: dict[str, Any], field: str) -> None:
    with pytest.raises(MessageError) as caught:
        read(**body)
    assert caught.value.field == field


def test_user_property_given_twice() -> None:
    with pytest.raises(MessageError) as caught:
        parse(b'{"topic":"a","payload":"","userProperties":{"x":"1","x":"2"}}', LIMITS, TOPICS)
    assert caught.value.field == "userProperties"


def test_path_and_body_do_not_both_say_whom_it_is_for() -> None:
    with pytest.raises(MessageError) as caught:
        read(Address(client_id="c"), topic="a")
    assert caught.value.field == "topic"


def test_lines_of_a_batch() -> None:
    lines = split_batch(b'{"topic":"a","payload":""}\r\n\n  \n{}\n', LIMITS)
    good, bad = (parse_line(line, LIMITS, TOPICS) for line in lines)
    assert isinstance(good, Publication)
    assert isinstance(bad, MessageError)
    with pytest.raises(MessageError):
        split_batch(b"{}\n" * 4, LIMITS)
    with pytest.raises(MessageError):
        split_batch(b"\n", LIMITS)
