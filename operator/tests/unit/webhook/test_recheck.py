"""Rounds over subscriptions after a rule was withdrawn, against brokers that obey or do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from liveconnect.common.claims import TokenFault
from liveconnect.common.policy import Policy, RuleTemplate
from liveconnect.common.verified import Verified
from liveconnect.webhook.adapters.brokers import (
    BrokerUnavailableError,
    Holding,
    Session,
    Vitals,
)
from liveconnect.webhook.recheck import Recheck
from tests.unit.common.policy.test_policy import device, rule

ORDERS, NEWS = rule("orders/{claims.sub}/#", "subscribe"), rule("news/#", "subscribe")


class Rules:
    """The rules in force; `withdraw` leaves only the news."""

    def __init__(self) -> None:
        self.templates: tuple[RuleTemplate, ...] = (ORDERS, NEWS)
        self.replaced: list[RuleTemplate] = []
        self._tell: Callable[[Policy], None] = lambda _: None

    @property
    def policy(self) -> Policy:
        return Policy(self.templates, [])

    def on_change(self, tell: Callable[[Policy], None]) -> None:
        self._tell = tell

    def withdraw(self) -> None:
        self.templates = (NEWS,)
        self._tell(self.policy)


class OneBroker:
    """Holds subscriptions of clients, whose user names are their client ids."""

    def __init__(self, held: dict[str, set[str]], *, online: bool = True) -> None:
        self.held = held
        self.online = online
        self.obeys = True
        self.knows = True
        self.ended: list[tuple[str, bool]] = []
        self.reauthorized: list[tuple[str, str]] = []

    async def addresses(self) -> frozenset[str]:
        return frozenset({"a"})

    async def vitals(self) -> tuple[Vitals, ...]:
        return (Vitals("VerneMQ@a", "a", 1, 1, 0),)

    def pod_of(self, node: str) -> str | None:
        return node

    async def subscriptions(self, _address: str, _node: str) -> list[Holding]:
        return [
            Holding(name, topic, self.online)
            for name, topics in self.held.items()
            for topic in sorted(topics)
        ]

    async def session(self, _address: str, client_id: str) -> Session | None:
        return Session(f"token of {client_id}", tuple(self.held[client_id]))

    async def reauthorize(self, _address: str, client_id: str, user: str) -> None:
        self.reauthorized.append((client_id, user))
        if not self.knows:
            raise BrokerUnavailableError("HTTP 414")
        if self.obeys:
            self.held[client_id] -= {"orders/42/7"}

    async def disconnect(self, _address: str, client_id: str, *, cleanup: bool = False) -> None:
        self.ended.append((client_id, cleanup))
        self.held.pop(client_id)


class Tokens:
    """Everybody's is good."""

    async def check_with_news(self, token: str | None, _now: float) -> Verified | TokenFault:
        return device((token or "").removeprefix("token of "))


class Marks:
    """Notes nothing."""

    async def noted(self, _name: str) -> str | None:
        """Nothing was."""
        return None

    async def note(self, _name: str, _text: str) -> None:
        """Forget it."""


def scene(broker: OneBroker) -> tuple[Rules, Recheck]:
    rules: Any = Rules()
    marks: Any = Marks()
    brokers: Any = broker
    return rules, Recheck(rules, Tokens(), brokers, marks, lambda: 0.0)


async def test_a_live_session_loses_the_subscription_and_stays() -> None:
    broker = OneBroker({"phone": {"orders/42/7", "news/1"}, "other": {"news/1"}})
    rules, recheck = scene(broker)
    rules.withdraw()
    assert not await recheck._round(), "whether it was obeyed is seen in the next round"
    assert await recheck._round()
    assert broker.held == {"phone": {"news/1"}, "other": {"news/1"}}
    assert broker.reauthorized == [("phone", "token of phone")]
    assert broker.ended == []


@pytest.mark.parametrize("trouble", ["obeys", "knows"])
async def test_who_still_holds_it_ends(trouble: str) -> None:
    """The hook may have met a replica with older rules; a token may be too long for the URL."""
    broker = OneBroker({"phone": {"orders/42/7", "news/1"}})
    setattr(broker, trouble, False)
    rules, recheck = scene(broker)
    rules.withdraw()
    assert not await recheck._round()
    assert broker.ended == []
    assert not await recheck._round()
    assert broker.ended == [("phone", True)]
    assert await recheck._round()


async def test_a_second_withdrawal_begins_anew() -> None:
    broker = OneBroker({"phone": {"orders/42/7"}})
    rules, recheck = scene(broker)
    rules.withdraw()
    while not await recheck._round():
        pass
    rules.templates = (ORDERS, NEWS)
    rules.on_change(recheck._changed)
    broker.held["phone"] |= {"orders/42/7"}
    rules.replaced = [ORDERS, NEWS]
    rules.withdraw()
    while not await recheck._round():
        pass
    assert [client_id for client_id, _ in broker.reauthorized] == ["phone", "phone"]
    assert broker.ended == []


async def test_a_stored_session_ends_for_nobody_knows_its_next_token() -> None:
    broker = OneBroker({"phone": {"orders/42/7"}}, online=False)
    rules, recheck = scene(broker)
    rules.withdraw()
    assert not await recheck._round()
    assert broker.ended == [("phone", True)]
    assert broker.reauthorized == []


async def test_on_a_new_cluster_no_stored_session_ends_for_want_of_a_note() -> None:
    broker = OneBroker({"phone": {"orders/42/7"}, "spy": {"secrets/1"}}, online=False)
    _, recheck = scene(broker)
    await recheck._begin()
    while not await recheck._round():
        pass
    assert broker.ended == [("spy", True)], "no rule in force grants this to anybody"
