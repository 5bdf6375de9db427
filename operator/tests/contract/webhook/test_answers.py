"""Every answer that we can give is one that VerneMQ was recorded to take as it is meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from liveconnect.webhook.contract import (
    OK,
    REFUSED,
    SubscribeTopic,
    connect_allowed,
    subscribe_answer,
)

RECORDINGS = Path(__file__).parent / "recordings"
CONNACKS: list[dict[str, Any]] = json.loads((RECORDINGS / "connack-by-answer.json").read_text())
ODD: dict[str, Any] = json.loads((RECORDINGS / "publish-subscribe-and-odd-input.json").read_text())

ERLANG_TIMER_MAX_MS = 2**32 - 1
TOPICS = st.lists(
    st.tuples(
        st.builds(SubscribeTopic, topic=st.text(max_size=20), qos=st.integers(0, 2)),
        st.none() | st.integers(0, 2),
    ),
    min_size=1,
    max_size=8,
)
SOME_GRANTED = TOPICS.filter(lambda topics: any(qos is not None for _, qos in topics))


def _recorded_codes(body: object) -> set[tuple[str, int | None]]:
    return {
        (entry["mqtt"], entry["client_gets"].get("code"))
        for entry in CONNACKS
        if entry["http"] == {"body": body}
    }


def test_ok_lets_in() -> None:
    assert _recorded_codes(json.loads(OK)) == {("3.1.1", 0), ("5", 0)}


def test_refused_is_the_code_for_not_authorized() -> None:
    assert _recorded_codes(json.loads(REFUSED)) == {("3.1.1", 5), ("5", 0x86)}


def test_a_lifetime_is_a_modifier_that_was_recorded() -> None:
    assert _recorded_codes(json.loads(connect_allowed(3))) == {("3.1.1", 0), ("5", 0)}


@given(seconds=st.integers())
def test_a_lifetime_is_always_a_positive_whole_number_that_a_timer_can_take(seconds: int) -> None:
    answer = json.loads(connect_allowed(seconds))
    lifetime = answer["modifiers"]["max_connection_lifetime"]
    assert answer["result"] == "ok"
    assert type(lifetime) is int
    assert 1 <= lifetime * 1000 <= ERLANG_TIMER_MAX_MS


def test_when_all_is_refused_the_answer_is_a_refusal() -> None:
    """The same to the client (recorded), and what takes a subscription away from a live session."""
    topics = [SubscribeTopic("a", 1), SubscribeTopic("b", 1)]
    for mqtt5 in (False, True):
        assert subscribe_answer(topics, [None, None], mqtt5=mqtt5) == REFUSED
        assert subscribe_answer(topics[:1], [None], mqtt5=mqtt5) == REFUSED
    assert ODD["subscribe error, 3.1.1"] == ODD["subscribe topics qos 128, 3.1.1"]
    assert ODD["subscribe error, 5"] == ODD["subscribe modifiers.topics qos 135, 5"]


@given(topics=SOME_GRANTED)
def test_subscribe_311_answers_every_topic_in_its_place(
    topics: list[tuple[SubscribeTopic, int | None]],
) -> None:
    answer = json.loads(
        subscribe_answer([t for t, _ in topics], [q for _, q in topics], mqtt5=False)
    )
    assert answer == {
        "result": "ok",
        "topics": [
            {"topic": topic.topic, "qos": 128 if qos is None else qos} for topic, qos in topics
        ],
    }


OPTIONS = st.builds(
    SubscribeTopic,
    topic=st.sampled_from(["a", "b/#"]),
    qos=st.integers(0, 2),
    no_local=st.booleans(),
    rap=st.booleans(),
    retain_handling=st.sampled_from(["send_retain", "send_if_new_sub", "dont_send"]),
)
DEFAULTS = {"no_local": False, "rap": False, "retain_handling": "send_retain"}
"""What VerneMQ takes for what is left out (`normalize_sub_topics`)."""


@given(topic=OPTIONS, qos=st.integers(0, 2))
def test_a_granted_subscription_keeps_its_options(topic: SubscribeTopic, qos: int) -> None:
    (entry,) = json.loads(subscribe_answer([topic], [qos], mqtt5=True))["modifiers"]["topics"]
    asked = {name: getattr(topic, name) for name in DEFAULTS}
    assert DEFAULTS | entry == {**asked, "topic": topic.topic, "qos": qos}
    both = json.loads(subscribe_answer([topic, topic], [None, qos], mqtt5=True))
    assert both["modifiers"]["topics"] == [{"topic": topic.topic, "qos": 135}, entry]
    (old,) = json.loads(subscribe_answer([topic], [qos], mqtt5=False))["topics"]
    assert old == {"topic": topic.topic, "qos": qos}


@given(topics=SOME_GRANTED)
def test_subscribe_5_answers_in_modifiers_and_never_with_128(
    topics: list[tuple[SubscribeTopic, int | None]],
) -> None:
    answer = json.loads(
        subscribe_answer([t for t, _ in topics], [q for _, q in topics], mqtt5=True)
    )
    assert answer == {
        "result": "ok",
        "modifiers": {
            "topics": [
                {"topic": topic.topic, "qos": 135 if qos is None else qos} for topic, qos in topics
            ]
        },
    }


def test_the_recordings_show_what_these_shapes_do() -> None:
    assert ODD["subscribe topics qos 128, 3.1.1"].endswith("80")
    assert ODD["subscribe modifiers.topics qos 135, 5"].endswith("87")
    assert ODD["subscribe modifiers.topics qos 128, 5"] == "connection reset"


def test_an_empty_or_uneven_answer_is_a_refusal() -> None:
    """`[]` was recorded to grant everything, a short list to shift the codes."""
    topic = SubscribeTopic("a", 0)
    for mqtt5 in (False, True):
        assert subscribe_answer([], [], mqtt5=mqtt5) == REFUSED
        assert subscribe_answer([topic, topic], [0], mqtt5=mqtt5) == REFUSED
    assert ODD["subscribe topics empty, 3.1.1"] == ODD["subscribe ok, 3.1.1"]
