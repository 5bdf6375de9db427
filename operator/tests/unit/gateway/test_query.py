"""Requests whose body is the payload: the query says the rest."""

from __future__ import annotations

import contextlib
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveconnect.gateway.messages import (
    Address,
    Delivery,
    Limits,
    Message,
    MessageError,
    Properties,
    Topics,
    parse_plain,
)

LIMITS = Limits(payload_bytes=64, topic_levels=10)
TOPICS = Topics("clients/{clientId}/inbox", "groups/{group}/inbox", 10)


def fault(query: str, address: Address | None = None) -> MessageError:
    with pytest.raises(MessageError) as caught:
        parse_plain(query.encode(), b"", LIMITS, TOPICS, address)
    return caught.value


def test_everything() -> None:
    query = urlencode(
        {
            "clientId": "phone ä",
            "qos": "2",
            "retain": "true",
            "messageExpirySeconds": "60",
            "responseTopic": "orders/answers",
            "correlationDataBase64": "/w==",
            "delivery": "online-only",
        }
    )
    publication = parse_plain(query.encode(), b"\xff", LIMITS, TOPICS)
    assert publication.client_id == "phone ä"
    assert publication.delivery is Delivery.ONLINE_ONLY
    properties = Properties(expiry=60, response_topic="orders/answers", correlation=b"\xff")
    assert publication.message == Message("clients/phone ä/inbox", b"\xff", 2, True, properties)


def test_nothing_but_the_topic() -> None:
    publication = parse_plain(b"topic=a", b"x", LIMITS, TOPICS)
    assert publication.message == Message("a", b"x", 1, False)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "topic"),
        ("topic=a&group=b", "topic"),
        ("topic=a&topic=b", "topic"),
        ("topic=a%23", "topic"),
        ("topic=a&qos=3", "qos"),
        ("topic=a&qos=-1", "qos"),
        ("topic=a&qos=1" + "0" * 5000, "qos"),
        ("topic=a&qos=", "qos"),
        ("topic=a&retain=yes", "retain"),
        ("topic=a&messageExpirySeconds=0", "messageExpirySeconds"),
        ("topic=a&messageExpirySeconds=4294967296", "messageExpirySeconds"),
        ("topic=a&responseTopic=a/%2B", "responseTopic"),
        ("topic=a&correlationDataBase64=*", "correlationDataBase64"),
        ("topic=a&delivery=later", "delivery"),
        ("topic=a&ttl=1", "ttl"),
        ("topic=%FF", None),
        ("topic", None),
        ("&".join(f"a{n}=1" for n in range(50)), None),
    ],
)
def test_faults(query: str, field: str | None) -> None:
    assert fault(query).field == field


def test_path_and_query_do_not_both_say_whom_it_is_for() -> None:
    assert fault("topic=a", Address(client_id="b")).field == "topic"


def test_payload_that_is_too_long() -> None:
    with pytest.raises(MessageError) as caught:
        parse_plain(b"topic=a", b"x" * 65, LIMITS, TOPICS)
    assert caught.value.field == "payload"


@given(st.binary(max_size=100))
def test_nothing_but_a_message_or_its_fault(query: bytes) -> None:
    with contextlib.suppress(MessageError):
        assert parse_plain(query, b"", LIMITS, TOPICS).message.topic
