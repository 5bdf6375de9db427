"""Who may do what. Everything that is not allowed in so many words is refused."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from liveconnect.api.operands import Publisher
from liveconnect.api.v1alpha1 import TopicRule
from liveconnect.common.policy import (
    ConnectAllowed,
    Granted,
    Policy,
    Pool,
    PublishAllowed,
    Reason,
    Refused,
    RuleTemplate,
    SubscribeDecision,
    TemplateError,
)
from liveconnect.common.policy.rulebook import Rulebook
from liveconnect.common.tokens import TokenFault, TokenKind, Verified
from liveconnect.common.topics import covers
from liveconnect.webhook.contract import PublishBody, SubscribeTopic
from tests.unit.common.test_topics import matches

NOW = 1_000_000.0
BACKEND = "system:serviceaccount:shop:orders"


def device(client_id: str = "phone", member_of: Sequence[str] = (), **claims: Any) -> Verified:
    full = {"client_id": client_id, "sub": "42", **claims}
    groups = frozenset(member_of)
    return Verified(TokenKind.DEVICE, "https://i", "42", full, NOW + 600, "client_id", groups)


def backend(subject: str = BACKEND) -> Verified:
    return Verified(TokenKind.SERVICE_ACCOUNT, "https://k", subject, {}, NOW + 600)


def rule_model(topic_filter: str, **more: Any) -> TopicRule:
    return TopicRule.model_validate({"filter": topic_filter, "allow": ["subscribe"], **more})


def rule(topic_filter: str, *allow: str, **more: Any) -> RuleTemplate:
    stated = TopicRule.model_validate({"filter": topic_filter, "allow": list(allow), **more})
    return RuleTemplate.of(stated, source=topic_filter)


POLICY = Policy(
    [
        rule("orders/{claims.sub}/+/status", "subscribe", maxQoS=1),
        rule("devices/{clientId}/#", "subscribe", "publish"),
        rule("telemetry/{clientId}", "publish", maxQoS=0),
        rule("state/{clientId}", "publish", allowRetain=True),
        rule("news/#", "subscribe", maxQoS=0),
        rule("notes/{clientId}", "publish", maxPayloadBytes=4),
        rule("depots/+/gate", "subscribe", "publish", groups=["drivers", "staff"]),
    ],
    [Publisher(subject=BACKEND, publish=["orders/#", "bad#filter"])],
)


def connect(pool: Pool, identity: Verified | TokenFault, client_id: str = "phone") -> Any:
    return POLICY.connect(pool, client_id, identity, NOW, 0.5)


def subscribe(identity: Verified | TokenFault, *filters: str, qos: int = 2) -> Any:
    topics = [SubscribeTopic(text, qos) for text in filters]
    return POLICY.subscribe(Pool.SUBSCRIBER, "phone", identity, topics)


def message(topic: str, qos: int = 0, *, retain: bool = False, payload: bytes = b"") -> PublishBody:
    text = msgspec.Raw(b'"' + base64.b64encode(payload) + b'"')
    return PublishBody(
        "phone", "", username=None, topic=topic, qos=qos, retain=retain, payload=text
    )


def publish(
    pool: Pool, identity: Verified | TokenFault, topic: str, qos: int = 0, **more: Any
) -> Any:
    return POLICY.publish(pool, identity, message(topic, qos, **more))


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
    return [g.qos if isinstance(g, Granted) else None for g in decision.granted]


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


def test_the_best_rule_decides_and_is_named() -> None:
    policy = Policy(
        [rule("a/#", "subscribe", maxQoS=0), rule("a/b", "subscribe"), rule("+/b", "subscribe")], []
    )
    decision = policy.subscribe(Pool.SUBSCRIBER, "phone", device(), [SubscribeTopic("a/b", 1)])
    assert decision == SubscribeDecision((Granted(1, "a/b"),))


@pytest.mark.parametrize("groups", [["drivers"], ["guests", "staff"]])
def test_members_of_a_group_have_its_rules(groups: list[str]) -> None:
    identity = device(member_of=groups)
    assert granted(subscribe(identity, "depots/+/gate")) == [2]
    assert isinstance(publish(Pool.SUBSCRIBER, identity, "depots/7/gate"), PublishAllowed)


@pytest.mark.parametrize("groups", [[], ["guests"], ["Drivers"], ["drivers "], ["driver"]])
def test_others_do_not(groups: list[str]) -> None:
    identity = device(member_of=groups)
    assert granted(subscribe(identity, "depots/7/gate")) == [None]
    assert publish(Pool.SUBSCRIBER, identity, "depots/7/gate") == Refused(Reason.NO_RULE)


VALUES = ["a", "b", "ü🙂", "$SYS", "$share"]
WILD = ["+", "#", "a/b", "", "a\0", None, True, 1.5, ["a"], {"a": "b"}]
LEVEL = st.sampled_from(["a", "b", "", "+", "{clientId}", "{claims.sub}", "x{claims.sub}"])
FILTER = st.builds(
    lambda levels, rest: "/".join([*levels, "#"] if rest else levels),
    st.lists(LEVEL, min_size=1, max_size=3),
    st.booleans(),
).filter(bool)
REQUESTED = st.builds(
    lambda share, levels: share + "/".join(levels),
    st.sampled_from(["", "", "$share/g/"]),
    st.lists(st.sampled_from([*VALUES, "xa", "", "+", "#", "$x"]), min_size=1, max_size=4),
)
NAMES = [
    list(levels)
    for depth in (1, 2, 3, 4)
    for levels in itertools.product(["a", "b", "ü🙂", "xa", "", "$SYS"], repeat=depth)
]
"""Every topic name over these levels: what a granted filter shows is tried on all of them."""


def expansions(stated: TopicRule, client_id: object, subject: object) -> list[str] | None:
    """What a rule means for one client; shares nothing with the code under test."""
    text = stated.filter
    for place, value in (("{clientId}", client_id), ("{claims.sub}", subject)):
        if place in text:
            if not isinstance(value, str) or not value or set(value) & set("/+#\0"):
                return None
            text = text.replace(place, value)
    return text.split("/")


@settings(max_examples=400)
@given(
    filters=st.lists(FILTER, min_size=1, max_size=3),
    bound=st.lists(st.sampled_from(["drivers", "staff"]), max_size=2, unique=True),
    groups=st.lists(st.sampled_from(["drivers", "guests"]), max_size=2, unique=True),
    client_id=st.sampled_from(VALUES),
    subject=st.sampled_from([*VALUES, *WILD]),
    requested=REQUESTED,
)
def test_a_granted_filter_shows_no_topic_beyond_the_rules(
    filters: list[str],
    bound: list[str],
    groups: list[str],
    client_id: str,
    subject: object,
    requested: str,
) -> None:
    stated = [rule_model(text, groups=bound) for text in filters]
    policy = Policy([RuleTemplate.of(one) for one in stated], [])
    identity = device(client_id, sub=subject, member_of=groups)
    decision = policy.subscribe(
        Pool.SUBSCRIBER, client_id, identity, [SubscribeTopic(requested, 2)]
    )
    assert isinstance(decision, SubscribeDecision)
    if not isinstance(decision.granted[0], Granted):
        return
    assert not bound or set(bound) & set(groups)
    allowed = [levels for one in stated if (levels := expansions(one, client_id, subject))]
    shown = requested.removeprefix("$share/g/").split("/")
    seen = [name for name in NAMES if matches(shown, name)]
    assert not any(name[0].startswith("$") for name in seen)
    for name in seen:
        assert any(matches(levels, name) for levels in allowed), (name, allowed)


@given(text=FILTER, client_id=st.sampled_from(VALUES), subject=st.sampled_from([*VALUES, *WILD]))
def test_what_a_rule_says_is_granted_as_it_stands(
    text: str, client_id: str, subject: object
) -> None:
    stated = rule_model(text)
    policy = Policy([RuleTemplate.of(stated)], [])
    levels = expansions(stated, client_id, subject)
    assume(levels is not None and not levels[0].startswith("$"))
    topics = [SubscribeTopic("/".join(levels or []), 1)]
    decision = policy.subscribe(Pool.SUBSCRIBER, client_id, device(client_id, sub=subject), topics)
    assert granted(decision) == [1]


@given(filters=st.lists(FILTER, max_size=6), name=st.sampled_from(NAMES))
def test_the_rulebook_finds_what_a_look_at_every_rule_would(
    filters: list[str], name: list[str]
) -> None:
    rules = [RuleTemplate.of(rule_model(text), str(at)) for at, text in enumerate(filters)]
    found = [one.source for one in Rulebook(rules).covering("a", device("a", sub="b"), name)]
    every = [
        one.source
        for one in rules
        if (levels := one.expand("a", {"sub": "b"})) and covers(levels, name)
    ]
    assert found == every


# --- publish


def test_a_device_publishes_where_a_rule_lets_it() -> None:
    allowed = PublishAllowed("devices/{clientId}/#")
    assert publish(Pool.SUBSCRIBER, device(), "devices/phone/x", 2) == allowed
    assert publish(Pool.SUBSCRIBER, device(), "devices/other/x") == Refused(Reason.NO_RULE)
    assert publish(Pool.SUBSCRIBER, device(), "orders/42/7/status") == Refused(Reason.NO_RULE)


def test_quality_and_retain_are_bounded() -> None:
    refused = Refused(Reason.QOS, "telemetry/{clientId}")
    assert publish(Pool.SUBSCRIBER, device(), "telemetry/phone", 1) == refused
    refused = Refused(Reason.RETAIN, "devices/{clientId}/#")
    assert publish(Pool.SUBSCRIBER, device(), "devices/phone/x", retain=True) == refused
    allowed = PublishAllowed("state/{clientId}")
    assert publish(Pool.SUBSCRIBER, device(), "state/phone", retain=True) == allowed


@given(payload=st.binary(max_size=12))
def test_payloads_are_bounded_to_the_byte(payload: bytes) -> None:
    decision = publish(Pool.SUBSCRIBER, device(), "notes/phone", payload=payload)
    source = "notes/{clientId}"
    allowed, refused = PublishAllowed(source), Refused(Reason.PAYLOAD_SIZE, source)
    assert decision == (allowed if len(payload) <= 4 else refused)


@pytest.mark.parametrize("raw", [b"", b"1", b"null", b'"', b"[]", b'"\\u0041AAA"'])
def test_a_payload_whose_size_is_not_known_is_too_large(raw: bytes) -> None:
    body = msgspec.structs.replace(message("notes/phone"), payload=msgspec.Raw(raw))
    assert body.payload_bytes is None
    refused = Refused(Reason.PAYLOAD_SIZE, "notes/{clientId}")
    assert POLICY.publish(Pool.SUBSCRIBER, device(), body) == refused


@pytest.mark.parametrize("topic", ["", "#", "devices/phone/+", "$SYS/x", "$share/g/x", "a\0b"])
@pytest.mark.parametrize("pool", list(Pool))
def test_what_is_no_topic_name_is_refused(pool: Pool, topic: str) -> None:
    identity = device() if pool is Pool.SUBSCRIBER else backend()
    assert publish(pool, identity, topic) == Refused(Reason.INVALID_TOPIC)


def test_a_backend_publishes_what_the_object_allows() -> None:
    allowed = PublishAllowed(f"publisher {BACKEND}")
    assert publish(Pool.PUBLISHER, backend(), "orders/42/7/status", 2, retain=True) == allowed
    assert publish(Pool.PUBLISHER, backend(), "news/x") == Refused(Reason.NO_RULE)


def test_without_rules_nothing_is_allowed() -> None:
    empty = Policy([], [])
    topics = [SubscribeTopic("a", 0)]
    decision = empty.subscribe(Pool.SUBSCRIBER, "phone", device(), topics)
    assert granted(decision) == [None]
    assert empty.publish(Pool.SUBSCRIBER, device(), message("a")) == Refused(Reason.NO_RULE)
    refused = empty.connect(Pool.PUBLISHER, "b", backend(), NOW, 0)
    assert refused == Refused(Reason.UNKNOWN_BACKEND)


@pytest.mark.parametrize(
    "text", ["a/{nope}", "a/{clientid}", "a/{claims.}", "a/{", "a/}", "a#", "#/a", "{claims.a/b}"]
)
def test_a_rule_that_cannot_be_used_is_told(text: str) -> None:
    unchecked = rule_model("a").model_copy(update={"filter": text})
    with pytest.raises(TemplateError):
        RuleTemplate.of(unchecked)
