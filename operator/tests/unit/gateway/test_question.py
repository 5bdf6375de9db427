"""What a device is asked, and how its caller wants to be answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveconnect.gateway.messages import (
    Address,
    Limits,
    MessageError,
    Preference,
    RequestId,
    Topics,
    parse_preference,
    parse_request,
)
from liveconnect.gateway.replies import ReplyTopics

LIMITS = Limits(1000, 10)
TOPICS = Topics("clients/{clientId}/requests", "", 8)
REPLIES = "clients/{clientId}/replies"
TOKEN = "0123456789abcdef" * 2

tokens = st.text("0123456789abcdef", min_size=32, max_size=32)
ids = st.builds(RequestId, st.integers(0, 999_999_999), tokens)


def test_names_where_the_answer_goes() -> None:
    body = b'{"payload":"?","userProperties":{"a":"b"},"timeoutSeconds":9}'
    question = parse_request(body, LIMITS, TOPICS, Address(client_id="phone-1"))
    message = question.message(RequestId(2, TOKEN), REPLIES)
    assert message.topic == f"clients/phone-1/requests/2/{TOKEN}"
    properties = message.properties
    assert properties is not None
    assert properties.response_topic == f"clients/phone-1/replies/2/{TOKEN}"
    assert properties.correlation == f"2-{TOKEN}".encode()
    assert (properties.expiry, properties.user) == (9, (("a", "b"),))


def test_topic_is_not_too_deep_with_its_last_levels() -> None:
    deep = Topics("a/b/c/d/e/f/g/{clientId}/i", "", 8)
    with pytest.raises(MessageError, match="8 levels"):
        parse_request(b'{"payload":"?"}', LIMITS, deep, Address(client_id="x"))


@given(ids)
def test_id_is_read_as_it_was_written(request_id: RequestId) -> None:
    assert RequestId.of(str(request_id)) == request_id
    topics = ReplyTopics(REPLIES)
    topic = f"clients/phone-1/replies/{request_id.levels}"
    assert topics.read(topic) == ("phone-1", request_id)


@given(st.text(st.sampled_from("clients/phone-1replies/0-+#é"), max_size=60))
def test_other_topics_are_none(topic: str) -> None:
    assert ReplyTopics(REPLIES).read(topic) is None


@pytest.mark.parametrize(
    "topic",
    [
        f"clients/phone/replies/0/{TOKEN}/more",
        f"clients/phone/requests/0/{TOKEN}",
        f"client/phone/replies/0/{TOKEN}",
        f"clients/phone/replies/x/{TOKEN}",
        f"clients/phone/replies/0/{TOKEN[1:]}",
        f"clients/phone/replies/0/{TOKEN.upper()}",
        "",
    ],
)
def test_topics_that_are_nearly_right(topic: str) -> None:
    assert ReplyTopics(REPLIES).read(topic) is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, Preference()),
        (b"", Preference()),
        (b"respond-async", Preference(later=True)),
        (b"Respond-Async; foo=1", Preference(later=True)),
        (b"respond-async, wait=10", Preference(later=True, wait=10)),
        (b'wait="10", respond-async', Preference(later=True, wait=10)),
        (b"wait=10, wait=20", Preference(wait=10)),
        (b"handling=lenient, wait=x, return=minimal", Preference()),
        (b"\xff", Preference()),
    ],
)
def test_preferences(header: bytes | None, expected: Preference) -> None:
    assert parse_preference(header) == expected


@given(st.binary(max_size=60))
def test_no_preference_is_wrong(header: bytes) -> None:
    assert isinstance(parse_preference(header), Preference)


@pytest.mark.parametrize(
    ("preference", "timeout", "seconds"),
    [
        (Preference(), 30, 30),
        (Preference(), 60, 60),
        (Preference(wait=5), 30, 30),
        (Preference(later=True), 3600, 0),
        (Preference(later=True, wait=90), 3600, 60),
        (Preference(later=True, wait=90), 7, 7),
    ],
)
def test_how_long_a_call_waits(preference: Preference, timeout: int, seconds: int) -> None:
    assert preference.seconds(timeout) == seconds


def test_no_call_waits_for_an_hour() -> None:
    with pytest.raises(MessageError, match="respond-async"):
        Preference().seconds(61)
