"""What is sent, when it is sent again, and how answers are read."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveconnect.client import Answer, Delivery, InvalidError, Members, Message, Patience, Request
from liveconnect.client.calls import Call, begin_request, presence, publish, publish_all
from liveconnect.client.errors import Problem, ProblemError, UnreachableError, problem_error
from liveconnect.client.messages import QoS
from liveconnect.client.patience import repeats
from liveconnect.gateway.messages import Limits, Publication, Topics, parse, split_batch

_LIMITS = Limits(payload_bytes=1 << 16, topic_levels=10)
_TOPICS = Topics("clients/{clientId}/inbox", "groups/{group}/inbox", 10)
_TEXT = st.text(st.characters(codec="utf-8"), max_size=16)
_CALL: Call[None] = Call("POST", "/", lambda _: None)
_ONCE: Call[None] = Call("POST", "/", lambda _: None, repeatable=False)


@given(
    failures=st.integers(1, 10_000),
    asked=st.floats(0, 3600),
    chance=st.floats(0, 1),
    first=st.floats(0.001, 10),
    longest=st.floats(0.001, 60),
)
def test_pauses_are_bounded_and_never_too_short(
    failures: int, asked: float, chance: float, first: float, longest: float
) -> None:
    pause = Patience(first_seconds=first, longest_seconds=longest).pause(failures, asked, chance)
    assert asked <= pause <= asked + longest


def test_pauses_double_and_are_spread() -> None:
    patience = Patience(first_seconds=1, longest_seconds=5)
    assert [patience.pause(n, 0, 1) for n in (1, 2, 3, 4)] == [1, 2, 4, 5]
    assert [patience.pause(3, 7, chance) for chance in (0, 0.5, 1)] == [7, 9, 11]


@given(
    status=st.sampled_from([400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 502, 503, 504]),
    sent=st.sampled_from([None, True, False]),
    retry_after=st.sampled_from([None, 1.0]),
)
def test_nothing_is_done_twice_that_may_not_be(
    status: int, sent: bool | None, retry_after: float | None
) -> None:
    error = ProblemError(status, Problem(status, sent=sent), retry_after)
    assert not repeats(_ONCE, error) or error.sent is False
    assert repeats(_CALL, error) == (status in {429, 503} or (status == 504 and bool(retry_after)))


def test_broken_connections_and_bugs() -> None:
    assert repeats(_CALL, UnreachableError("x"))
    assert not repeats(_ONCE, UnreachableError("x"))
    assert repeats(_ONCE, UnreachableError("x", sent=False))
    assert not repeats(_CALL, RuntimeError("x"))


@pytest.mark.parametrize(
    "address", [{}, {"topic": "a", "client_id": "b"}, {"client_id": "b", "group": "c"}]
)
def test_a_message_is_for_exactly_one(address: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        Message(payload="x", **address)  # type: ignore[arg-type] # its strings are


@pytest.mark.parametrize("members", [{}, {"prefix": "a", "group": "b"}])
def test_members_are_said_in_exactly_one_way(members: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="exactly one of client_ids, prefix, group"):
        Members(**members)


@pytest.mark.parametrize("header", ["soon", "-1", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT", "٣"])
def test_a_retry_after_that_is_no_number_of_seconds_says_nothing(header: str) -> None:
    assert problem_error(503, b"{}", header).retry_after is None


@given(st.binary(max_size=200), st.integers(400, 599))
def test_any_body_is_an_error(body: bytes, status: int) -> None:
    assert problem_error(status, body).status == status


def test_members_of_later_versions_do_no_harm() -> None:
    body = b'{"type":"about:blank","title":"T","status":422,"field":"qos","new":[1]}'
    error = problem_error(422, body)
    assert isinstance(error, InvalidError)
    assert error.field == "qos"


@given(st.binary())
def test_answers_are_bytes_whatever_they_are(content: bytes) -> None:
    assert Answer(payload_base64=base64.b64encode(content).decode()).content == content


def test_text_answers() -> None:
    assert Answer(payload="größe").content == "größe".encode()
    assert Answer().content == b""
    with pytest.raises(ValueError, match="Expecting"):
        Answer(payload="x").json()


def test_everything_a_request_may_say() -> None:
    asked = Request(
        payload=b"\xff",
        timeout_seconds=600,
        qos=2,
        message_expiry_seconds=60,
        content_type="application/x",
        user_properties={"a": "b"},
        delivery=Delivery.ONLINE_ONLY,
    )
    call = begin_request("phone-1", asked, "key", 0)
    assert call.headers["Prefer"] == "respond-async, wait=0"
    assert json.loads(call.content or b"") == {
        "payloadBase64": "/w==",
        "timeoutSeconds": 600,
        "qos": 2,
        "messageExpirySeconds": 60,
        "contentType": "application/x",
        "userProperties": {"a": "b"},
        "delivery": "online-only",
    }


@given(st.text())
def test_a_client_id_is_one_level_of_the_path(client_id: str) -> None:
    path = presence(client_id.encode(errors="ignore").decode()).path
    assert path.count("/") == 3
    assert path.isascii()


# --- the gateway's own parser reads what the client writes


def read(content: bytes | None) -> Publication:
    return parse(content or b"", _LIMITS, _TOPICS)


@given(
    payload=_TEXT | st.binary(max_size=16) | st.dictionaries(_TEXT, st.integers(), max_size=3),
    qos=st.sampled_from([0, 1, 2]),
    retain=st.booleans(),
    properties=st.dictionaries(
        st.text("abc", min_size=1, max_size=4), st.text("xyzé", max_size=4), max_size=3
    ),
    expiry=st.none() | st.integers(1, 1000),
    correlation=st.none() | st.binary(max_size=8),
)
def test_the_gateway_reads_what_was_meant(
    payload: str | bytes | dict[str, int],
    qos: QoS,
    *,
    retain: bool,
    properties: dict[str, str],
    expiry: int | None,
    correlation: bytes | None,
) -> None:
    message = Message(
        topic="a/b",
        payload=payload,
        qos=qos,
        retain=retain,
        message_expiry_seconds=expiry,
        content_type="text/x",
        user_properties=properties,
        response_topic="c",
        correlation_data=correlation,
    )
    meant = read(publish(message, "key").content).message
    assert (meant.topic, meant.qos, meant.retain) == ("a/b", qos, retain)
    if isinstance(payload, dict):
        assert json.loads(meant.payload) == payload
    else:
        assert meant.payload == (payload if isinstance(payload, bytes) else payload.encode())
    assert meant.properties is not None
    assert (meant.properties.expiry, meant.properties.content_type) == (expiry, "text/x")
    assert dict(meant.properties.user) == properties
    assert meant.properties.response_topic == "c"
    assert meant.properties.correlation == correlation


def test_the_gateway_reads_addresses_and_batches() -> None:
    messages = [
        Message(client_id="phone-1", payload="x", delivery=Delivery.ONLINE_ONLY),
        Message(group="drivers", payload=["x"]),
    ]
    lines = split_batch(publish_all(messages, "key").content or b"", _LIMITS)
    first, second = (read(line) for line in lines)
    assert (first.message.topic, first.delivery.value) == ("clients/phone-1/inbox", "online-only")
    assert (second.message.topic, second.message.payload) == ("groups/drivers/inbox", b'["x"]')
