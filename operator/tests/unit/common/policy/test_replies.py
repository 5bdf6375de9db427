"""Answers to the gateway's requests: a device for itself, each pod for what it asked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from liveconnect.api import operands
from liveconnect.api.operands import Publisher
from liveconnect.common.policy import (
    Policy,
    Pool,
    PublishAllowed,
    Reason,
    Refused,
    Replies,
    SubscribeDecision,
)
from liveconnect.common.verified import TokenKind, Verified
from liveconnect.webhook.contract import SubscribeTopic
from tests.unit.common.policy.test_policy import BACKEND, device, rule
from tests.unit.common.policy.test_policy import message as published

GATEWAY = "system:serviceaccount:shop:demo-gateway"
SOURCE = "spec.gateway.requests"
TOKEN = "0" * 32
OWN = f"clients/phone/replies/0/{TOKEN}"

REPLIES = Replies(operands.Replies(max_bytes=4, gateway=GATEWAY))
POLICY = Policy(
    [rule("clients/#", "subscribe", "publish", allowRetain=True)],
    [Publisher(subject=GATEWAY, publish=["#"]), Publisher(subject=BACKEND, publish=["#"])],
    replies=REPLIES,
)


def pod(name: Any, subject: str = GATEWAY) -> Verified:
    claims = {"kubernetes.io": {"namespace": "shop", "pod": {"name": name, "uid": "u"}}}
    return Verified(TokenKind.SERVICE_ACCOUNT, "https://k", subject, claims, 2_000_000.0)


def answer(topic: str, qos: int = 1, *, retain: bool = False, payload: bytes = b"x") -> Any:
    return POLICY.publish(
        Pool.SUBSCRIBER, device(), published(topic, qos, retain=retain, payload=payload)
    )


def heard(identity: Verified, *filters: str, qos: int = 2) -> Any:
    wanted = [SubscribeTopic(one, qos) for one in filters]
    return POLICY.subscribe(Pool.PUBLISHER, "anything", identity, wanted)


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_device_answers_for_itself(qos: int) -> None:
    assert answer(OWN, qos) == PublishAllowed(SOURCE)


@pytest.mark.parametrize(
    ("topic", "retain", "payload", "reason"),
    [
        (OWN, True, b"x", Reason.RETAIN),
        (OWN, False, b"12345", Reason.PAYLOAD_SIZE),
    ],
)
def test_bounds_hold_whatever_wider_rules_say(
    topic: str, payload: bytes, reason: Reason, *, retain: bool
) -> None:
    assert answer(topic, retain=retain, payload=payload) == Refused(reason, SOURCE)


@pytest.mark.parametrize(
    "topic",
    [f"clients/other/replies/0/{TOKEN}", f"clients/Phone/replies/0/{TOKEN}"],
)
def test_no_device_answers_for_another(topic: str) -> None:
    assert answer(topic) == Refused(Reason.NO_RULE)


@given(st.text(st.sampled_from("phone-1+#/"), min_size=1, max_size=8))
@example("phone")
def test_who_may_answer_is_in_the_topic(client_id: str) -> None:
    topic = f"clients/{client_id}/replies/0/{TOKEN}"
    allowed = isinstance(answer(topic), PublishAllowed)
    if REPLIES.hold(topic.split("/")):
        assert allowed == (client_id == "phone")


@pytest.mark.parametrize("subject", [GATEWAY, BACKEND])
def test_no_backend_answers_in_a_device_s_name(subject: str) -> None:
    refused = POLICY.publish(Pool.PUBLISHER, pod("demo-gateway-0", subject), published(OWN))
    assert refused == Refused(Reason.REPLY_TOPIC, SOURCE)


@pytest.mark.parametrize(("name", "ordinal"), [("demo-gateway-0", "0"), ("demo-gateway-12", "12")])
def test_each_pod_hears_what_it_asked(name: str, ordinal: str) -> None:
    decision = heard(pod(name), f"clients/+/replies/{ordinal}/+")
    assert isinstance(decision, SubscribeDecision)
    (granted,) = decision.granted
    assert (granted.rule, getattr(granted, "qos", None)) == (SOURCE, 1)


@pytest.mark.parametrize(
    ("identity", "filters"),
    [
        (pod("demo-gateway-1"), ["clients/+/replies/0/+"]),
        (pod("demo-gateway-0"), ["clients/+/replies/+/+"]),
        (pod("demo-gateway-0"), ["clients/+/replies/0/#"]),
        (pod("demo-gateway-0"), ["$share/g/clients/+/replies/0/+"]),
        (pod("demo-gateway-0"), ["#"]),
        (pod("demo-gateway-0"), ["clients/+/inbox"]),
        (pod("demo-gateway-0"), ["clients/+/replies/0/+", "orders/#"]),
        (pod("demo-gateway-0", BACKEND), ["clients/+/replies/0/+"]),
        (pod("0"), ["clients/+/replies/0/+"]),
        (pod(""), ["clients/+/replies/0/+"]),
        (pod(None), ["clients/+/replies/0/+"]),
        (pod(7), ["clients/+/replies/7/+"]),
        (
            Verified(TokenKind.SERVICE_ACCOUNT, "https://k", GATEWAY, {}, 2e6),
            ["clients/+/replies/0/+"],
        ),
        (
            Verified(TokenKind.SERVICE_ACCOUNT, "https://k", GATEWAY, {"kubernetes.io": []}, 2e6),
            ["clients/+/replies/0/+"],
        ),
    ],
)
def test_nobody_hears_anything_else(identity: Verified, filters: list[str]) -> None:
    assert heard(identity, *filters) == Refused(Reason.SUBSCRIBE_ON_PUBLISHER_POOL)


def test_while_they_are_off_there_are_none() -> None:
    off = Policy([], [Publisher(subject=GATEWAY, publish=["#"])])
    assert off.publish(Pool.SUBSCRIBER, device(), published(OWN)) == Refused(Reason.NO_RULE)
    wanted = [SubscribeTopic("clients/+/replies/0/+", 1)]
    refused = off.subscribe(Pool.PUBLISHER, "g", pod("demo-gateway-0"), wanted)
    assert refused == Refused(Reason.SUBSCRIBE_ON_PUBLISHER_POOL)
