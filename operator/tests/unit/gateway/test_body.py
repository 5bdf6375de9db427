"""Requests: what is taken as it is meant, and what is refused, naming the field."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveconnect.gateway.messages import FaultKind, Limits, Message, MessageError, Topics
from liveconnect.gateway.messages import parse as parse_publication

LIMITS = Limits(payload_bytes=64, topic_levels=10)
TEXT = st.text(st.characters(codec="utf-8"), max_size=16)
LEVEL = st.text(st.characters(codec="utf-8", categories=["L", "N", "Zs"]), max_size=8)
TOPIC = st.lists(LEVEL, min_size=1, max_size=10).map("/".join).filter(bool)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e300, 1e300) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
ROOMY = Limits(payload_bytes=1 << 20, topic_levels=10)
TOPICS = Topics("clients/{clientId}/inbox", "groups/{group}/inbox", 10)


def parse(raw: bytes, limits: Limits) -> Message:
    return parse_publication(raw, limits, TOPICS).message


def fault(body: Any) -> MessageError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(MessageError) as caught:
        parse(raw, LIMITS)
    return caught.value


@given(
    topic=TOPIC, payload=TEXT, qos=st.sampled_from([0, 1, 2]), retain=st.booleans(),
    ascii_only=st.booleans(),
)  # fmt: skip
def test_what_is_asked_for_is_what_is_meant(
    topic: str, payload: str, qos: int, *, retain: bool, ascii_only: bool
) -> None:
    body = {"topic": topic, "payload": payload, "qos": qos, "retain": retain}
    raw = json.dumps(body, ensure_ascii=ascii_only).encode()
    assert parse(raw, ROOMY) == Message(topic, payload.encode(), qos, retain)


@given(st.binary(max_size=64))
def test_base64_is_decoded(payload: bytes) -> None:
    body = {"topic": "a", "payloadBase64": base64.b64encode(payload).decode()}
    assert parse(json.dumps(body).encode(), LIMITS).payload == payload


@given(st.lists(JSON, max_size=4) | st.dictionaries(TEXT, JSON, max_size=4))
def test_json_payload_keeps_its_meaning(payload: Any) -> None:
    raw = json.dumps({"topic": "a", "payload": payload}, indent=2).encode()
    got = parse(raw, ROOMY).payload
    assert json.loads(got) == payload
    assert b"\n" not in got


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_nothing_but_a_message_or_its_fault(raw: bytes) -> None:
    with contextlib.suppress(MessageError):
        assert parse(raw, LIMITS).topic


def test_numbers_keep_their_digits() -> None:
    raw = b'{"topic":"a","payload":[1.10, 1e400, 12345678901234567890.123]}'
    assert parse(raw, LIMITS).payload == b"[1.10,1e400,12345678901234567890.123]"


def test_fields_of_a_payload_are_its_own_affair() -> None:
    raw = b'{"topic":"a","payload":{"qos":7,"topic":1,"x":1,"x":2}}'
    assert parse(raw, LIMITS).payload == b'{"qos":7,"topic":1,"x":1,"x":2}'


def test_number_too_long_to_convert_is_no_matter() -> None:
    raw = b'{"topic":"a","payload":{"\\u0061":%s}}' % (b"1" * 5000)
    assert len(parse(raw, ROOMY).payload) == 5000 + len('{"\\u0061":}')


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"topic":"a","topic":"b","payload":""}', "topic"),
        (b'{"topic":"a","\\u0074opic":"b","payload":""}', "topic"),
        (b'{"topic":"a","payload":"1","payload":"2"}', "payload"),
        (b'{"topic":"a","payload":"","qos":0,"qos":0}', "qos"),
        (b'{"topic":"a","payload":"\\n","retain":true,"retain":false}', "retain"),
    ],
)
def test_duplicate_fields(raw: bytes, field: str) -> None:
    error = fault(raw)
    assert (error.field, str(error)) == (field, f"{field}: it is given twice")


@pytest.mark.parametrize(
    ("topic", "why"),
    [
        ("", "at least one character"),
        ("a/+/b", "wildcards"),
        ("#", "wildcards"),
        ("a/b#", "wildcards"),
        ("a\0b", "control characters"),
        ("a\nb", "control characters"),
        ("\x7f", "control characters"),
        ("a\ufffe", "control characters"),
        ("$SYS/broker", "broker's own"),
        ("$share/g/a", "broker's own"),
        ("a/" * 10, "at most 10 levels"),
    ],
)
def test_no_topic_name(topic: str, why: str) -> None:
    error = fault({"topic": topic, "payload": ""})
    assert error.field == "topic"
    assert why in str(error)


@pytest.mark.parametrize("topic", ["/", "//a", "a b", "a/$b", "a\u00a0b", "🛵", "a/" * 9 + "a"])
def test_odd_but_legal_topics(topic: str) -> None:
    assert parse(json.dumps({"topic": topic, "payload": ""}).encode(), LIMITS).topic == topic


def test_topics_have_65535_bytes() -> None:
    longest = "ä" * 32767 + "a"
    assert len(longest.encode()) == 65535
    assert parse(json.dumps({"topic": longest, "payload": ""}).encode(), LIMITS).topic == longest
    error = fault({"topic": longest + "a", "payload": ""})
    assert (error.field, error.kind) == ("topic", FaultKind.SIZE)


@pytest.mark.parametrize("name", ["payload", "payloadBase64"])
def test_payloads_have_a_limit(name: str) -> None:
    def body(size: int) -> bytes:
        payload = base64.b64encode(b"x" * size).decode() if name != "payload" else "x" * size
        return json.dumps({"topic": "a", name: payload}).encode()

    assert len(parse(body(64), LIMITS).payload) == 64
    error = fault(body(65))
    assert (error.field, error.kind) == (name, FaultKind.SIZE)
    assert "65 bytes, at most 64" in str(error)


def test_the_limit_counts_bytes() -> None:
    assert fault({"topic": "a", "payload": "ä" * 33}).kind is FaultKind.SIZE


@given(TEXT)
def test_every_payload_within_the_limit_fits_into_a_body(payload: str) -> None:
    size = len(payload.encode())
    limits = Limits(payload_bytes=size, topic_levels=10)
    raw = json.dumps({"topic": "a", "payload": payload}, ensure_ascii=False).encode()
    assert len(raw) <= limits.body_bytes


def test_nothing_of_the_payload_is_said() -> None:
    for body in (
        {"payload": "s3cret" * 50, "topic": "a"},
        {"payloadBase64": "s3cret!", "topic": "a"},
    ):
        assert "s3cret" not in str(fault(body))
