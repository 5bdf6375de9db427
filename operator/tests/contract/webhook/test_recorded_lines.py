"""Every recorded line, one by one: what VerneMQ made of an answer, and which answers are ours.

Where a line is about a shape that we give, it must have been taken as it is meant; every other
shape must be none of ours. The tables are compared with the recordings: no line is left out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from liveconnect.common.policy import Policy, Pool, Refused, RuleTemplate
from liveconnect.common.verified import TokenKind, Verified
from liveconnect.webhook.contract import (
    OK,
    REFUSED,
    Hook,
    PublishBody,
    RegisterBody,
    SubscribeTopic,
    connect_allowed,
    parse_body,
    subscribe_answer,
)
from tests.contract.webhook.test_answers import CONNACKS, ODD, RECORDINGS
from tests.unit.common.policy.test_policy import rule

ORDER: dict[str, Any] = json.loads((RECORDINGS / "order-timing-cache-lifetime.json").read_text())
TOUR = (Path(RECORDINGS) / "hooks-tour-2.1.2.jsonl").read_text().splitlines()

YES = [json.loads(OK), json.loads(connect_allowed(3))]
NO = [json.loads(REFUSED)]
CRASH = "ERR"


def shape(value: object) -> object:
    """A JSON value without its particulars: keys and types, and the word that decides."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return value if value in {"ok", "next"} else type(value).__name__


def outcome(gets: dict[str, Any]) -> str:
    if gets["packet"].startswith(CRASH):
        return "crash"
    return "in" if gets["code"] == 0 else "refused"


@pytest.mark.parametrize(
    "line", CONNACKS, ids=[f"{line['answer']}, {line['mqtt']}" for line in CONNACKS]
)
def test_a_connack_line(line: dict[str, Any]) -> None:
    http, got = line["http"], outcome(line["client_gets"])
    body = http.get("body")
    whole = http.get("status", 200) == 200 and "delay" not in http and "ctype" not in http
    if whole and shape(body) in [shape(answer) for answer in YES]:
        assert got == "in"
    elif whole and shape(body) in [shape(answer) for answer in NO]:
        assert got == "refused"
        assert line["client_gets"]["code"] in {5, 0x86}
    elif got == "crash":
        assert shape(body) not in [shape(answer) for answer in (*YES, *NO)]
    elif http.get("status", 200) != 200:
        # What we answer to bad requests, and whatever may fail: never a way in.
        assert got == "refused"


def test_all_102_lines_are_there() -> None:
    assert len(CONNACKS) == 102


TOPIC = SubscribeTopic("f/1", 1)


def one(topic: str, qos: int) -> dict[str, Any]:
    return {"topic": topic, "qos": qos}


#: Lines about SUBSCRIBE: the JSON that was answered, and the answer of ours with that meaning.
SUBSCRIBES: dict[str, tuple[dict[str, Any], bytes | None]] = {
    "subscribe topics qos 128, 3.1.1": (
        {"result": "ok", "topics": [one("f/1", 128)]},
        None,  # only beside filters that are granted
    ),
    "subscribe topics qos 0, 3.1.1": (
        {"result": "ok", "topics": [one("f/1", 0)]},
        subscribe_answer([TOPIC], [0], mqtt5=False),
    ),
    "subscribe modifiers.topics qos 135, 5": (
        {"result": "ok", "modifiers": {"topics": [one("f/1", 135)]}},
        None,  # as above
    ),
    "subscribe modifiers.topics qos 0, 5": (
        {"result": "ok", "modifiers": {"topics": [one("f/1", 0)]}},
        subscribe_answer([TOPIC], [0], mqtt5=True),
    ),
    "subscribe error, 3.1.1": (
        {"result": {"error": "not_allowed"}},
        subscribe_answer([TOPIC], [None], mqtt5=False),
    ),
    "subscribe error, 5": (
        {"result": {"error": "not_allowed"}},
        subscribe_answer([TOPIC], [None], mqtt5=True),
    ),
    # Shapes that grant everything, crash the session, or ask the next plugin: none of ours.
    "subscribe ok, 3.1.1": ({"result": "ok"}, None),
    "subscribe ok, 5": ({"result": "ok"}, None),
    "subscribe next, 3.1.1": ({"result": "next"}, None),
    "subscribe next, 5": ({"result": "next"}, None),
    "subscribe topics empty, 3.1.1": ({"result": "ok", "topics": []}, None),
    "subscribe modifiers.topics (m5 style), 3.1.1": (
        {"result": "ok", "modifiers": {"topics": [one("f/1", 128)]}},
        None,
    ),
    "subscribe topics (v3 style), 5": ({"result": "ok", "topics": [one("f/1", 128)]}, None),
    "subscribe modifiers.topics qos 128, 5": (
        {"result": "ok", "modifiers": {"topics": [one("f/1", 128)]}},
        None,
    ),
    # Rewriting a filter works at VerneMQ; we answer the filters that were asked for.
    "subscribe topics other, 3.1.1": ({"result": "ok", "topics": [one("f/2", 1)]}, None),
    "subscribe modifiers.topics other, 5": (
        {"result": "ok", "modifiers": {"topics": [one("f/2", 1)]}},
        None,
    ),
}
REFUSED_SUBACKS = {"9003000180", "900400010087"}


def every_subscribe_answer(*, mqtt5: bool) -> list[object]:
    """All that we can answer to one filter."""
    grants: list[int | None] = [None, 0, 1, 2]
    answers = [subscribe_answer([TOPIC], [grant], mqtt5=mqtt5) for grant in grants]
    return [json.loads(answer) for answer in (*answers, REFUSED)]


@pytest.mark.parametrize("name", sorted(SUBSCRIBES))
def test_a_suback_line(name: str) -> None:
    answered, ours = SUBSCRIBES[name]
    if ours is None:
        assert answered not in every_subscribe_answer(mqtt5=name.endswith("5"))
        return
    assert json.loads(ours) == answered
    assert (ODD[name] in REFUSED_SUBACKS) == ("128" in name or "135" in name or "error" in name)


def test_a_refused_filter_among_granted_ones() -> None:
    topics = [SubscribeTopic("f/2", 1), SubscribeTopic("f/1", 1)]  # reversed, as in the body
    answer = json.loads(subscribe_answer(topics, [None, 1], mqtt5=False))
    codes = [entry["qos"] for entry in reversed(answer["topics"])]
    assert bytes.fromhex(ODD["two filters, one answered 128, 3.1.1"])[4:] == bytes(codes)


@pytest.mark.parametrize(("mqtt5", "version"), [(False, "4"), (True, "5")])
def test_codes_land_on_the_filters_that_they_are_meant_for(mqtt5: bool, version: str) -> None:
    """SUBSCRIBE f/1 q0, f/2 q1, f/3 q2, of which f/1 is refused, through the policy."""
    asked = ORDER[f"SUBSCRIBE f/1 q0, f/2 q1, f/3 q2 ({version}): body order and SUBACK"]
    topics = [SubscribeTopic(topic, qos) for topic, qos in asked["body"]]
    assert [topic.topic for topic in topics] == ["f/3", "f/2", "f/1"]
    policy = Policy([rule("f/2", "subscribe"), rule("f/3", "subscribe")], [])
    decision = policy.subscribe(Pool.SUBSCRIBER, "phone", device(), topics)
    assert not isinstance(decision, Refused)
    granted = [None if isinstance(g, Refused) else g.qos for g in decision.granted]
    answer = json.loads(subscribe_answer(topics, granted, mqtt5=mqtt5))
    listed = answer["modifiers"]["topics"] if mqtt5 else answer["topics"]
    recorded = bytes.fromhex(ORDER[f"answer in body order, f/1 refused ({version})"])
    assert recorded[-3:] == bytes(entry["qos"] for entry in reversed(listed))
    wrong = bytes.fromhex(ORDER[f"answer in client order, f/1 refused ({version})"])
    assert wrong[-3:] != recorded[-3:]
    short = bytes.fromhex(ORDER[f"answer omits f/1 ({version})"])
    assert len(short) < len(recorded)
    assert len(listed) == len(topics)


def test_the_reason_code_for_a_refused_filter_is_one_of_those_that_are_taken() -> None:
    assert ORDER["m5 topics qos 135"] == "900400010087"
    assert ORDER["m5 topics qos 128"] == "connection reset"


def device(client_id: str = "phone") -> Verified:
    return Verified(TokenKind.DEVICE, "i", "42", {"client_id": client_id}, 4e9, "client_id")


#: Lines about PUBLISH and wills: what was answered, and what the client saw of it.
PUBLISHES = {
    "connect with a will that auth_on_publish refuses, 3.1.1": (REFUSED, "20020005"),
    "same, 5": (REFUSED, "2003008700"),
    "publish refused by error, 3.1.1 QoS 0": (REFUSED, "connection reset"),
    "publish refused by error, 3.1.1 QoS 1": (REFUSED, "connection reset"),
    "publish refused by error, 3.1.1 QoS 2": (REFUSED, "connection reset"),
    "publish refused by error, 5 QoS 0": (
        REFUSED,
        "nothing (dropped silently, connection stays)",
    ),
    "publish refused by error, 5 QoS 1": (REFUSED, "400400018700"),
    "publish refused by error, 5 QoS 2": (REFUSED, "500400018700"),
}
#: Answers to a PUBLISH that are none of ours: there is no next plugin, we rewrite nothing, and
#: what goes wrong is a 4xx (`test_bad_input.py`).
NOT_OURS = {
    "publish next with no other plugin, 3.1.1 QoS 1",
    "publish next with no other plugin, 5 QoS 1",
    "publish hook HTTP 500, 3.1.1 QoS 1",
    "publish hook HTTP 500, 5 QoS 1",
    "publish rewritten (topic, payload, qos 0), 4",
    "publish rewritten (topic, payload, qos 0), 5",
    "subscribe HTTP 500, 3.1.1",
    "subscribe HTTP 500, 5",
}
#: What the broker accepts before any hook, and so what our hooks must be able to read.
INPUTS = {name for name in ODD if name.startswith(("user name", "password", "client id of"))} | {
    "empty client id, clean, 3.1.1",
    "empty client id, not clean, 3.1.1",
    "empty client id, clean, 5",
    "empty client id, not clean, 5",
    "protocol 3.1 with name MQTT level 3",
    "v5 publish with correlation data ff00",
}


@pytest.mark.parametrize("name", sorted(PUBLISHES))
def test_a_publish_line(name: str) -> None:
    answer, seen = PUBLISHES[name]
    assert json.loads(answer) == {"result": {"error": "not_allowed"}}
    assert ODD[name] == seen


def test_no_recorded_line_is_left_out() -> None:
    further = {"two filters, one answered 128, 3.1.1"}
    assert set(ODD) == {*SUBSCRIBES, *PUBLISHES, *NOT_OURS, *INPUTS, *further}


#: What the odd inputs are when they reach a hook (webhooks.md); the others end at the broker.
REACHES: dict[str, dict[str, Any]] = {
    "user name with quotes": {"username": 'to"ken'},
    "user name 8 KiB": {"username": "x" * 8 * 1024},
    "user name 60 KiB": {"username": "x" * 60 * 1024},
    "password not UTF-8": {"password": "\ufffd\ufffd"},
    "client id of 23 characters": {"client_id": "c" * 23},
    "client id of 100 characters": {"client_id": "c" * 100},
    "empty client id, clean": {"client_id": "anon-tqXh3SOa9NKnH0XoD7jclza2cSwW"},
    "empty client id, not clean": {"client_id": "anon-6y9IPqgDJOKJdvHAyqPg8cMAOrH"},
    "v5 publish with correlation data": {"properties": {"p_correlation_data": "\ufffd\0"}},
}
ENDS_AT_THE_BROKER = {2, 133}
"""*Identifier rejected* of 3.1.1 and of 5."""


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_an_input_line(name: str) -> None:
    """Whatever reaches us is read, and nobody becomes another client by it."""
    got = ODD[name]
    if isinstance(got, dict) and ("ERR" in got["packet"] or got["code"] in ENDS_AT_THE_BROKER):
        assert not any(name.startswith(known) for known in REACHES if "empty" not in known)
        return
    (odd,) = [REACHES[known] for known in REACHES if name.startswith(known)]
    body: dict[str, Any] = {
        "peer_addr": "127.0.0.1", "peer_port": 1, "mountpoint": "", "client_id": "phone",
        "username": "t", "password": None, "clean_session": True, **odd,
    }  # fmt: skip
    hook = Hook.AUTH_ON_REGISTER if name.endswith("3.1.1") else Hook.AUTH_ON_REGISTER_M5
    parsed = parse_body(hook, json.dumps(body).encode())
    assert isinstance(parsed, RegisterBody)
    assert (parsed.client_id, parsed.username) == (body["client_id"], body["username"])
    decision = Policy([], []).connect(Pool.SUBSCRIBER, parsed.client_id, device(), 0.0, 0.0)
    assert isinstance(decision, Refused) == (parsed.client_id != "phone")


def recorded_bodies(hook: str, step: str) -> list[bytes]:
    """Bodies of one hook in the steps of the tour whose name holds a text."""
    bodies, current = [], ""
    for line in TOUR:
        entry = json.loads(line)
        current = entry.get("step", current)
        if entry.get("hook") == hook and step in current:
            bodies.append(entry["raw_body"].encode())
    return bodies


@pytest.mark.parametrize(
    ("hook", "step"),
    [("auth_on_publish", "v3.1.1: will sent"), ("auth_on_publish", "v3.1.1: connect with")],
)
def test_a_will_is_decided_as_the_message_that_it_will_be(hook: str, step: str) -> None:
    (raw, *_) = recorded_bodies(hook, step)
    body = parse_body(Hook(hook), raw)
    assert isinstance(body, PublishBody)
    bounds = {"maxQoS": body.qos, "allowRetain": body.retain}
    size = body.payload_bytes
    assert size is not None

    def decided(*rules: RuleTemplate) -> bool:
        decision = Policy(rules, []).publish(Pool.SUBSCRIBER, device(body.client_id), body)
        return not isinstance(decision, Refused)

    assert decided(rule(body.topic, "publish", maxPayloadBytes=size, **bounds))
    assert not decided()
    assert not decided(rule(body.topic, "subscribe", **bounds))
    assert not decided(rule(body.topic, "publish", maxPayloadBytes=size - 1, **bounds))


@pytest.mark.parametrize("size", [8 * 1024, 60 * 1024])
def test_long_user_names_are_read(size: int) -> None:
    body = {
        "peer_addr": "127.0.0.1", "peer_port": 1, "mountpoint": "", "client_id": "c" * 100,
        "username": 'quote"' + "x" * size, "password": "\ufffd", "clean_session": True,
    }  # fmt: skip
    for hook in (Hook.AUTH_ON_REGISTER, Hook.AUTH_ON_REGISTER_M5):
        assert parse_body(hook, json.dumps(body).encode()).client_id == "c" * 100
