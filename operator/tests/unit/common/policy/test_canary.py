"""The brokers' private listener is the operator's alone, and good for one thing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveconnect.api.operands import CANARY_TOPIC
from liveconnect.common.policy import (
    CanaryPolicy,
    ConnectAllowed,
    Granted,
    Pool,
    PublishAllowed,
    Reason,
    Refused,
    SubscribeDecision,
)
from liveconnect.common.tokens import TokenFault, Verified
from liveconnect.webhook.contract import SubscribeTopic
from tests.unit.common.policy.test_policy import NOW, POLICY, backend, device, message

OPERATOR = "system:serviceaccount:liveconnect-system:liveconnect-operator"
CANARY = CanaryPolicy(OPERATOR)
STRANGERS: list[Verified | TokenFault] = [
    device(),
    device(sub=OPERATOR),
    backend(),
    TokenFault.EXPIRED,
    TokenFault.MISSING,
]


def test_the_operator_may_try_messages() -> None:
    operator = backend(OPERATOR)
    assert CANARY.connect(operator, NOW) == ConnectAllowed(600)
    asked = [SubscribeTopic(CANARY_TOPIC, 2), SubscribeTopic("#", 0)]
    assert CANARY.subscribe(operator, asked) == SubscribeDecision(
        (Granted(1, "canary"), Refused(Reason.NO_RULE))
    )
    assert CANARY.publish(operator, message(CANARY_TOPIC, 1)) == PublishAllowed("canary")


@given(st.text())
def test_it_may_nothing_else(topic: str) -> None:
    operator = backend(OPERATOR)
    if topic != CANARY_TOPIC:
        assert isinstance(CANARY.publish(operator, message(topic)), Refused)
    kept = message(CANARY_TOPIC, retain=True)
    assert CANARY.publish(operator, kept) == Refused(Reason.RETAIN)


@pytest.mark.parametrize("stranger", STRANGERS, ids=str)
def test_nobody_else_may_anything(stranger: Verified | TokenFault) -> None:
    assert isinstance(CANARY.connect(stranger, NOW), Refused)
    assert isinstance(CANARY.subscribe(stranger, [SubscribeTopic(CANARY_TOPIC, 0)]), Refused)
    assert isinstance(CANARY.publish(stranger, message(CANARY_TOPIC)), Refused)


def test_without_an_operator_nobody_is_let_in() -> None:
    for identity in (*STRANGERS, backend(OPERATOR), backend("")):
        assert isinstance(CanaryPolicy(None).connect(identity, NOW), Refused)


@pytest.mark.parametrize("pool", list(Pool))
def test_among_clients_the_operator_is_nobody(pool: Pool) -> None:
    assert isinstance(POLICY.connect(pool, "phone", backend(OPERATOR), NOW, 0.5), Refused)
