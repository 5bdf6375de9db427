"""Who may do what. Everything that is not allowed in so many words is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveconnect.api.operands import Publisher
from liveconnect.api.v1alpha1 import TopicAction, TopicRule
from liveconnect.common.tokens import TokenFault, TokenKind, Verified
from liveconnect.webhook.contract import Pool, PublishBody, SubscribeTopic
from liveconnect.webhook.policy import (
    ConnectAllowed,
    Policy,
    PublishAllowed,
    Reason,
    Refused,
    RuleTemplate,
    SubscribeDecision,
    TemplateError,
)
from tests.unit.webhook.test_filters import matches

NOW = 1_000_000.0
BACKEND = "system:serviceaccount:shop:orders"


def device(client_id: str = "phone", **claims: Any) -> Verified:
    full = {"client_id": client_id, "sub": "42", **claims}
    return Verified(TokenKind.DEVICE, "https://i", "42", full, NOW + 600, "client_id")


def backend(subject: str = BACKEND) -> Verified:
    return Verified(TokenKind.SERVICE_ACCOUNT, "https://k", subject, {}, NOW + 600)


def rule(topic_filter: str, *allow: str, **more: Any) -> RuleTemplate:
    return RuleTemplate.of(
        TopicRule.model_validate({"filter": topic_filter, "allow": list(allow), **more})
    )


POLICY = Policy(
    [
        rule("orders/{claims.sub}/+/status", "subscribe", maxQoS=1),
        rule("devices/{clientId}/#", "subscribe", "publish"),
        rule("telemetry/{clientId}", "publish", maxQoS=0),
        rule("state/{clientId}", "publish", allowRetain=True),
        rule("news/#", "subscribe", maxQoS=0),
    ],
    [Publisher(subject=BACKEND, publish=["orders/#", "bad#filter"])],
)


def connect(pool: Pool, identity: Verified | TokenFault, client_id: str = "phone") -> Any:
    return POLICY.connect(pool, client_id, identity, NOW, 0.5)


def subscribe(identity: Verified | TokenFault, *filters: str, qos: int = 2) -> Any:
    topics = [SubscribeTopic(text, qos) for text in filters]
    return POLICY.subscribe(Pool.SUBSCRIBER, "phone", identity, topics)


def publish(
    pool: Pool, identity: Verified | TokenFault, topic: str, qos: int = 0, *, retain: bool = False
) -> Any:
    body = PublishBody("phone", "", username=None, topic=topic, qos=qos, retain=retain)
    return POLICY.publish(pool, identity, body)


# --- connect


def test_a_device_with_its_own_token_connects_for_as_long_as_the_token_lives() -> None:
    decision = connect(Pool.SUBSCRIBER, device())
    assert isinstance(decision, ConnectAllowed)
    assert 540 <= decision.lifetime_seconds <= 600


@pytest.mark.parametrize("fault", list(TokenFault))
@pytest.mark.parametrize("pool", list(Pool))
def test_no_faulty_token_does_anything_anywhere(pool: Pool, fault: TokenFault) -> None:
    assert connect(pool, fault) == Refused(fault)
    assert publish(pool, fault, "orders/1") == Refused(fault)
    assert POLICY.subscribe(pool, "phone", fault, [SubscribeTopic("news/x", 0)]) == Refused(fault)


@pytest.mark.parametrize("claimed", ["other", "", None, 1, ["phone"], {"a": 1}, "Phone", "phone "])
def test_another_clients_token_is_refused(claimed: object) -> None:
    identity = Verified(
        TokenKind.DEVICE, "https://i", "42", {"client_id": claimed}, NOW + 600, "client_id"
    )
    assert connect(Pool.SUBSCRIBER, identity) == Refused(Reason.CLIENT_ID)
    assert subscribe(identity, "news/x") == Refused(Reason.CLIENT_ID)
    assert publish(Pool.SUBSCRIBER, identity, "devices/phone/x") == Refused(Reason.CLIENT_ID)


def test_a_token_without_the_claim_is_refused() -> None:
    identity = Verified(TokenKind.DEVICE, "https://i", "42", {}, NOW + 600, "client_id")
    assert connect(Pool.SUBSCRIBER, identity, "None") == Refused(Reason.CLIENT_ID)


def test_devices_stay_off_the_publisher_pool() -> None:
    refused = Refused(Reason.DEVICE_ON_PUBLISHER_POOL)
    assert connect(Pool.PUBLISHER, device()) == refused
    assert publish(Pool.PUBLISHER, device(), "orders/1") == refused


def test_backends_stay_off_the_subscriber_pool() -> None:
    refused = Refused(Reason.BACKEND_ON_SUBSCRIBER_POOL)
    assert connect(Pool.SUBSCRIBER, backend()) == refused
    assert publish(Pool.SUBSCRIBER, backend(), "orders/1") == refused


def test_only_named_backends_connect() -> None:
    assert isinstance(connect(Pool.PUBLISHER, backend()), ConnectAllowed)
    other = backend("system:serviceaccount:shop:other")
    assert connect(Pool.PUBLISHER, other) == Refused(Reason.UNKNOWN_BACKEND)


@given(remaining=st.floats(-1e6, 1e12), jitter=st.floats(0, 1))
def test_a_session_never_outlives_its_token_and_lasts_a_second(
    remaining: float, jitter: float
) -> None:
    identity = Verified(
        TokenKind.DEVICE, "i", "s", {"client_id": "phone"}, NOW + remaining, "client_id"
    )
    decision = POLICY.connect(Pool.SUBSCRIBER, "phone", identity, NOW, jitter)
    assert isinstance(decision, ConnectAllowed)
    assert 1 <= decision.lifetime_seconds <= max(remaining, 1)
    assert decision.lifetime_seconds >= min(remaining * 0.9, remaining - 300) - 1


# --- subscribe


def granted(decision: Any) -> list[int | None]:
    assert isinstance(decision, SubscribeDecision)
    return [grant if isinstance(grant, int) else None for grant in decision.granted]


def test_each_filter_is_decided_in_its_place() -> None:
    decision = subscribe(
        device(), "nope", "orders/42/+/status", "orders/43/+/status", "devices/phone/#", "news/a"
    )
    assert granted(decision) == [None, 1, None, 2, 0]


def test_less_is_granted_if_less_is_wanted() -> None:
    assert granted(subscribe(device(), "orders/42/7/status", qos=0)) == [0]


@pytest.mark.parametrize(
    "topic_filter",
    [
        "#",
        "+/+/+/+",
        "orders/#",
        "orders/+/+/status",
        "orders/42/#",
        "$SYS/#",
        "$SYS/a",
        "$share/g/#",
        "devices/#",
        "devices/+/x",
        "",
        "news/#/a",
        "a\0b",
        "$share/g",
        "$share/g/$SYS/#",
        "$queue/x",
    ],
)
def test_what_reaches_further_than_the_rules_is_refused(topic_filter: str) -> None:
    assert granted(subscribe(device(), topic_filter)) == [None]


def test_a_shared_subscription_is_what_is_inside_it() -> None:
    assert granted(subscribe(device(), "$share/g/orders/42/+/status")) == [1]
    assert granted(subscribe(device(), "$share/g/orders/43/+/status")) == [None]


def test_nobody_subscribes_on_the_publisher_pool() -> None:
    decision = POLICY.subscribe(Pool.PUBLISHER, "b", backend(), [SubscribeTopic("orders/1", 0)])
    assert decision == Refused(Reason.SUBSCRIBE_ON_PUBLISHER_POOL)


WILD_VALUES = ["+", "#", "a/b", "", "a\0b", "42/#", "+/x", None, True, 1.5, ["42"], {"a": "b"}]


@pytest.mark.parametrize("value", WILD_VALUES)
def test_a_value_that_means_more_than_one_level_matches_nothing(value: object) -> None:
    identity = device(sub=value)
    for topic in ("orders/42/7/status", "orders/+/7/status", f"orders/{value}/7/status"):
        assert granted(subscribe(identity, topic)) == [None]


def test_a_number_may_stand_for_a_level() -> None:
    assert granted(subscribe(device(sub=42), "orders/42/7/status")) == [1]
    assert granted(subscribe(device(sub=10**5000), "orders/42/7/status")) == [None]


TEXT = st.text(st.sampled_from("ab+#/$"), max_size=6)
LEVELS = st.lists(st.sampled_from(["a", "b", "+", "", "{clientId}", "{claims.sub}"]), min_size=1)


@given(
    templates=st.lists(LEVELS, min_size=1, max_size=3),
    rest=st.booleans(),
    client_id=TEXT,
    subject=TEXT,
    requested=st.lists(st.sampled_from(["a", "b", "+", "#", "ab", "$"]), min_size=1, max_size=4),
    name=st.lists(st.sampled_from(["a", "b", "ab", "", "$"]), min_size=1, max_size=4),
)
def test_a_granted_filter_shows_no_topic_beyond_the_rules(
    templates: list[list[str]],
    rest: bool,
    client_id: str,
    subject: str,
    requested: list[str],
    name: list[str],
) -> None:
    filters = ["/".join([*levels, "#"] if rest else levels) or "/" for levels in templates]
    policy = Policy([rule(text, "subscribe") for text in filters], [])
    identity = device(client_id, sub=subject)
    topics = [SubscribeTopic("/".join(requested), 2)]
    decision = policy.subscribe(Pool.SUBSCRIBER, client_id, identity, topics)
    if isinstance(decision, Refused) or not isinstance(decision.granted[0], int):
        return
    if matches(requested, name):
        single_level = all(not set(value) & set("+#/") and value for value in (client_id, subject))
        allowed = [
            text.replace("{clientId}", client_id).replace("{claims.sub}", subject).split("/")
            for text in filters
            if single_level or "{" not in text or _fits(text, client_id, subject)
        ]
        assert any(matches(levels, name) for levels in allowed)


def _fits(text: str, client_id: str, subject: str) -> bool:
    used = [client_id] * ("{clientId}" in text) + [subject] * ("{claims.sub}" in text)
    return all(value and not set(value) & set("+#/") for value in used)


# --- publish


def test_a_device_publishes_where_a_rule_lets_it() -> None:
    assert publish(Pool.SUBSCRIBER, device(), "devices/phone/x", 2) == PublishAllowed()
    assert publish(Pool.SUBSCRIBER, device(), "devices/other/x") == Refused(Reason.NO_RULE)
    assert publish(Pool.SUBSCRIBER, device(), "orders/42/7/status") == Refused(Reason.NO_RULE)


def test_quality_and_retain_are_bounded() -> None:
    assert publish(Pool.SUBSCRIBER, device(), "telemetry/phone", 1) == Refused(Reason.QOS)
    refused = publish(Pool.SUBSCRIBER, device(), "devices/phone/x", retain=True)
    assert refused == Refused(Reason.RETAIN)
    assert publish(Pool.SUBSCRIBER, device(), "state/phone", retain=True) == PublishAllowed()


@pytest.mark.parametrize("topic", ["", "#", "devices/phone/+", "$SYS/x", "$share/g/x", "a\0b"])
@pytest.mark.parametrize("pool", list(Pool))
def test_what_is_no_topic_name_is_refused(pool: Pool, topic: str) -> None:
    identity = device() if pool is Pool.SUBSCRIBER else backend()
    assert publish(pool, identity, topic) == Refused(Reason.INVALID_TOPIC)


def test_a_backend_publishes_what_the_object_allows() -> None:
    assert publish(Pool.PUBLISHER, backend(), "orders/42/7/status", 2, retain=True) == (
        PublishAllowed()
    )
    assert publish(Pool.PUBLISHER, backend(), "news/x") == Refused(Reason.NO_RULE)


def test_without_rules_nothing_is_allowed() -> None:
    empty = Policy([], [])
    topics = [SubscribeTopic("a", 0)]
    decision = empty.subscribe(Pool.SUBSCRIBER, "phone", device(), topics)
    assert granted(decision) == [None]
    body = PublishBody("phone", "", username=None, topic="a", qos=0, retain=False)
    assert empty.publish(Pool.SUBSCRIBER, device(), body) == Refused(Reason.NO_RULE)
    refused = empty.connect(Pool.PUBLISHER, "b", backend(), NOW, 0)
    assert refused == Refused(Reason.UNKNOWN_BACKEND)


@pytest.mark.parametrize(
    "text", ["a/{nope}", "a/{clientid}", "a/{claims.}", "a/{", "a/}", "a#", "#/a", "{claims.a/b}"]
)
def test_a_rule_that_cannot_be_used_is_told(text: str) -> None:
    unchecked = TopicRule.model_construct(
        filter=text, allow=[TopicAction.SUBSCRIBE], maxQoS=2, allowRetain=False
    )
    with pytest.raises(TemplateError):
        RuleTemplate.of(unchecked)
