"""Whose subscriptions are judged anew after a change of the rules: never too few."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveconnect.common.policy import Granted, Policy, Pool, Refused, RuleTemplate
from liveconnect.common.policy.narrowing import Narrowing
from liveconnect.webhook.contract import SubscribeTopic
from tests.unit.common.policy.test_policy import FILTER, REQUESTED, VALUES, WILD, device, rule


def concerned(before: list[RuleTemplate], now: list[RuleTemplate], topic: str) -> bool:
    return Narrowing(before, now).concerns("phone", topic)


ORDERS = rule("orders/{claims.sub}/#", "subscribe")
NEWS = rule("news/#", "subscribe")


def test_nobody_is_concerned_by_what_stays_or_comes() -> None:
    assert not Narrowing([ORDERS], [ORDERS])
    assert not Narrowing([ORDERS], [NEWS, ORDERS])
    assert not Narrowing([], [NEWS])


def test_moving_a_rule_or_changing_its_bounds_takes_nothing_away() -> None:
    moved = rule("orders/{claims.sub}/#", "subscribe", "publish", maxQoS=0, allowRetain=True)
    assert not Narrowing([ORDERS], [moved])


@pytest.mark.parametrize(
    "now",
    [
        [],
        [rule("orders/{claims.sub}/#", "publish")],
        [rule("orders/{claims.sub}/#", "subscribe", groups=["staff"])],
        [rule("orders/{claims.tenant}/#", "subscribe")],
    ],
)
def test_what_a_withdrawn_rule_may_have_granted_is_concerned(now: list[RuleTemplate]) -> None:
    for topic in ("orders/42/7", "orders/42/#", "$share/g/orders/42/+", "orders/42"):
        assert concerned([ORDERS], now, topic)
    for topic in ("news/1", "orders", "other/42/7"):
        assert not concerned([ORDERS], now, topic)


def test_what_everybody_may_is_not_concerned() -> None:
    assert not concerned([ORDERS], [rule("orders/#", "subscribe")], "orders/42/7")
    assert not concerned([ORDERS], [rule("orders/{clientId}/#", "subscribe")], "orders/phone/7")
    assert concerned([ORDERS], [rule("orders/{clientId}/#", "subscribe")], "orders/other/7")


def test_when_nothing_is_known_of_before_everything_is_looked_at() -> None:
    unknown = Narrowing(None, [NEWS, ORDERS])
    assert unknown
    assert unknown.concerns("phone", "orders/42/7")
    assert unknown.concerns("phone", "$share/broken")
    assert not unknown.concerns("phone", "news/1")


def test_without_a_withdrawn_rule_nobody_who_is_away_loses_what_a_rule_in_force_grants() -> None:
    unknown = Narrowing(None, [NEWS, ORDERS])
    assert unknown.may_have_been_granted("orders/42/7")
    assert unknown.may_have_been_granted("news/1")
    assert not unknown.may_have_been_granted("secrets/1")
    assert not unknown.may_have_been_granted("$share/broken")
    withdrawn = Narrowing([NEWS, ORDERS, rule("news/1", "subscribe")], [NEWS, ORDERS])
    assert not withdrawn.may_have_been_granted("orders/42/7"), "something was withdrawn: as before"


RULES = st.lists(
    st.tuples(FILTER, st.sampled_from([[], ["drivers"]])).map(
        lambda one: rule(one[0], "subscribe", groups=one[1])
    ),
    max_size=3,
)


@settings(max_examples=400)
@given(
    before=RULES,
    kept=st.lists(st.booleans(), min_size=3, max_size=3),
    added=RULES,
    client_id=st.sampled_from(VALUES),
    subject=st.sampled_from([*VALUES, *WILD]),
    groups=st.sampled_from([[], ["drivers"]]),
    requested=REQUESTED,
)
def test_no_subscription_that_lost_its_rule_is_overlooked(  # noqa: PLR0913 - what there is
    before: list[RuleTemplate],
    kept: list[bool],
    added: list[RuleTemplate],
    client_id: str,
    subject: Any,
    groups: list[str],
    requested: str,
) -> None:
    now = [one for one, stays in zip(before, kept, strict=False) if stays] + added
    identity = device(client_id, sub=subject, member_of=groups)

    def granted(rules: list[RuleTemplate]) -> bool:
        decision = Policy(rules, []).subscribe(
            Pool.SUBSCRIBER, client_id, identity, [SubscribeTopic(requested, 0)]
        )
        return not isinstance(decision, Refused) and isinstance(decision.granted[0], Granted)

    if granted(before) and not granted(now):
        assert Narrowing(before, now)
        assert Narrowing(before, now).concerns(client_id, requested)
        assert Narrowing(None, now).concerns(client_id, requested)
