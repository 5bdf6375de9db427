"""How long a message is to the brokers: all of it counts, not its payload alone."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as MqttProperties

from liveconnect.gateway.adapters.mqttproperties import mqtt_properties
from liveconnect.gateway.messages import (
    Address,
    FaultKind,
    Limits,
    Message,
    MessageError,
    Properties,
    Publication,
    Topics,
    check_length,
    parse,
    parse_fanout,
    parse_plain,
)

MOST = 64
LIMITS = Limits(payload_bytes=MOST, topic_levels=10, packet_bytes=MOST)
TOPICS = Topics("clients/{clientId}", "groups/{group}", 10)
TEXTS = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=40)
PROPERTIES = st.builds(
    Properties,
    expiry=st.none() | st.integers(1, 2**32 - 1),
    content_type=st.none() | TEXTS,
    response_topic=st.none() | TEXTS.filter(lambda text: not {"+", "#"} & set(text)),
    correlation=st.none() | st.binary(max_size=40),
    user=st.lists(st.tuples(TEXTS, TEXTS), max_size=20).map(tuple),
)


@given(
    topic=TEXTS,
    payload=st.binary(max_size=300),
    qos=st.integers(0, 2),
    properties=st.none() | PROPERTIES,
)
def test_it_is_what_goes_over_the_wire(
    topic: str, payload: bytes, qos: int, properties: Properties | None
) -> None:
    packed = (
        MqttProperties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's own
        if properties is None
        else mqtt_properties(properties)
    ).pack()
    head = len(topic.encode()).to_bytes(2, "big") + topic.encode() + (b"id" if qos else b"")
    message = Message(topic, payload, qos, retain=False, properties=properties)
    assert message.packet_bytes == len(head + packed + payload)


def read(**body: Any) -> Publication:
    return parse(json.dumps({"topic": "a", **body}).encode(), LIMITS, TOPICS)


FRAME = 2 + len("a") + 2 + 1


@pytest.mark.parametrize(
    "body",
    [
        {"payload": "x" * (MOST - FRAME)},
        {"payload": "x" * (MOST - FRAME + 2), "qos": 0},
        {"payload": "x" * (MOST - FRAME - 10), "topic": "a" * 11},
        {"payload": "x" * (MOST - FRAME - 5), "messageExpirySeconds": 1},
        {"payload": "x" * (MOST - FRAME - 7), "userProperties": {"a": "b"}},
        {"payload": "x" * (MOST - FRAME - 5), "contentType": "\u00e4"},
    ],
)
def test_one_byte_more_is_too_long(body: dict[str, Any]) -> None:
    assert read(**body).message.packet_bytes == MOST
    with pytest.raises(MessageError, match=f"{MOST + 1} bytes with topic and .*at most 64") as got:
        read(**{**body, "payload": body["payload"] + "x"})
    assert (got.value.field, got.value.kind) == ("payload", FaultKind.SIZE)


def test_so_it_is_with_a_body_that_is_the_payload() -> None:
    payload = b"x" * (MOST - FRAME)
    assert parse_plain(b"topic=a", payload, LIMITS, TOPICS).message.packet_bytes == MOST
    with pytest.raises(MessageError) as got:
        parse_plain(b"topic=ab", payload, LIMITS, TOPICS)
    assert got.value.kind is FaultKind.SIZE


def test_of_a_fan_out_each_topic_counts() -> None:
    ids = ["c" * 10, "c" * 60]
    body = {"members": {"clientIds": ids}, "message": {"payload": "x" * 30}}
    fanout = parse_fanout(json.dumps(body).encode(), LIMITS, TOPICS)
    assert fanout.to(ids[0], TOPICS).client_id == ids[0]
    with pytest.raises(MessageError) as got:
        fanout.to(ids[1], TOPICS)
    assert got.value.kind is FaultKind.SIZE


def test_a_message_that_was_made_longer_is_checked_again() -> None:
    message = parse_plain(b"", b"x" * 40, LIMITS, TOPICS, Address(client_id="c")).message
    assert check_length(message, MOST) is message
    with pytest.raises(MessageError):
        check_length(msgspec.structs.replace(message, topic="t" * 40), MOST)
