"""A rule is withdrawn: live and stored subscriptions that it granted end, and no others.

Real process, real store, real MQTT clients, on the stand-in for VerneMQ.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.kit.phone import Address, Phone, Version
from tests.integration.webhook.test_revocations import Stage, make_stage
from tests.integration.webhook.test_rules import change
from tests.integration.webhook.world import CONFIG_TOPICS, eventually

ORDERS, DEVICES = CONFIG_TOPICS[0], CONFIG_TOPICS[1]
WITHIN = 10.0
"""Seconds from the change of the file until nobody holds what it may not."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    yield from make_stage(tmp_path, "127.0.93.")


def state(stage: Stage, *rules: dict[str, Any]) -> None:
    """These rules, from now on."""

    def edit(config: dict[str, Any]) -> None:
        config["topics"] = list(rules)

    change(stage.world, edit)


def here(stage: Stage, node: int = 0) -> Address:
    return Address(stage.nodes[node].address, 1883)


def a_phone(
    stage: Stage, name: str, *filters: str, node: int = 0, persistent: bool = False, **claims: Any
) -> Phone:
    token = stage.world.device(name, **claims)
    phone = Phone(name, token, persistent=persistent, version=Version.V5)
    stage.phones.append(phone)
    assert phone.connect(here(stage, node)) == 0
    for topic_filter in filters:
        assert phone.subscribe(topic_filter, 1) < 0x80
    return phone


def held(stage: Stage, name: str) -> set[str]:
    """What a client has subscribed to, connected or not."""
    rows = stage.nodes[0].api("session/show?--client_id&--topic&--limit=1000")["table"]
    return {row["topic"] for row in rows if row["client_id"] == name}


def test_who_holds_what_was_withdrawn_loses_it_and_nothing_else(stage: Stage) -> None:
    concerned = [
        a_phone(stage, f"concerned-{node}", "orders/42/+/status", node=node) for node in (0, 1)
    ]
    shared = a_phone(stage, "shared", "$share/g/orders/42/+/status")
    others = a_phone(stage, "others", "devices/others/#")
    silent = a_phone(stage, "silent")
    assert concerned[0].subscribe("devices/concerned-0/#", 1) < 0x80
    state(stage, DEVICES)
    for name in ("concerned-1", "shared"):
        eventually(lambda name=name: not held(stage, name), within=WITHIN)  # type: ignore[misc]
    eventually(lambda: held(stage, "concerned-0") == {"devices/concerned-0/#"}, within=WITHIN)
    eventually(lambda: rounds(stage, "clean"), within=WITHIN)
    assert concerned[0].subscribe("orders/42/+/status") == Version.V5.denied
    assert held(stage, "others") == {"devices/others/#"}
    assert all(phone.connected() for phone in (*concerned, shared, others, silent))


def test_whatever_the_client_is_called(stage: Stage) -> None:
    """VerneMQ reads some ids in Latin-1 only, and some as no text: nobody goes on for that."""
    names = ("gerät", "a+b c", "手机", "true", "~x")
    for name in names:
        a_phone(stage, name, "orders/42/+/status")
    state(stage, DEVICES)
    eventually(lambda: not [name for name in names if held(stage, name)], within=WITHIN)
    eventually(lambda: rounds(stage, "clean"), within=WITHIN)


def test_by_the_claims_of_each(stage: Stage) -> None:
    """The rule is replaced by one that covers the subscriptions of some."""
    mine = a_phone(stage, "mine", "orders/42/+/status", sub="42", tenant="42")
    theirs = a_phone(stage, "theirs", "orders/42/+/status", sub="42", tenant="7")
    state(stage, {"filter": "orders/{claims.tenant}/#", "allow": ["subscribe"]}, DEVICES)
    eventually(lambda: not held(stage, "theirs"), within=WITHIN)
    assert theirs.connected()
    assert mine.connected()
    assert held(stage, "mine") == {"orders/42/+/status"}


def test_a_stored_session_does_not_bring_it_back(stage: Stage) -> None:
    away = a_phone(stage, "away", "orders/42/+/status", persistent=True)
    away.disconnect()
    there = a_phone(stage, "there", "orders/42/+/status", persistent=True)
    keeper = a_phone(stage, "keeper", "devices/keeper/#", persistent=True)
    keeper.disconnect()
    assert held(stage, "away")
    state(stage, DEVICES)
    eventually(lambda: not held(stage, "away"), within=WITHIN)
    eventually(lambda: not held(stage, "there"), within=WITHIN)
    assert there.connected()
    assert away.connect(here(stage)) == 0
    assert not away.session_present
    assert held(stage, "keeper") == {"devices/keeper/#"}
    assert keeper.connect(here(stage)) == 0
    assert keeper.session_present


def rounds(stage: Stage, outcome: str) -> float:
    """How many rounds over the subscriptions the service has made."""
    name = f'liveconnect_webhook_recheck_rounds_total{{outcome="{outcome}"}} '
    lines = stage.service.request("GET", "/metrics").body.decode().splitlines()
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


def test_a_rule_that_moves_or_changes_its_bounds_disturbs_nobody(stage: Stage) -> None:
    eventually(lambda: rounds(stage, "clean"), within=WITHIN)
    phone = a_phone(stage, "calm", "orders/42/+/status", persistent=True)
    before = rounds(stage, "clean")
    state(stage, DEVICES)
    state(stage, DEVICES, {**ORDERS, "maxQoS": 0, "source": "LiveConnectTopic shop/orders"})
    eventually(lambda: rounds(stage, "clean") > before, within=WITHIN)
    assert phone.connected()
    assert held(stage, "calm") == {"orders/42/+/status"}


def test_what_was_withdrawn_while_the_service_was_away_is_found_at_its_start(
    stage: Stage,
) -> None:
    eventually(lambda: rounds(stage, "clean"), within=WITHIN)
    phone = a_phone(stage, "phone", "orders/42/+/status")
    other = a_phone(stage, "other", "devices/other/#")
    stage.running.close()
    state(stage, DEVICES)
    stage.restart()
    eventually(lambda: not held(stage, "phone"), within=WITHIN)
    assert phone.connected()
    assert other.connected()
    assert held(stage, "other") == {"devices/other/#"}


def test_a_broker_that_is_away_is_asked_when_it_is_back(stage: Stage) -> None:
    stored = a_phone(stage, "stored", "orders/42/+/status", node=1, persistent=True)
    stored.disconnect()
    stage.nodes[1].stop()
    state(stage, DEVICES)

    eventually(lambda: rounds(stage, "incomplete"), within=WITHIN)
    stage.nodes[1].start()

    def clean() -> bool:
        rows = stage.nodes[1].api("session/show?--client_id&--topic")["table"]
        return not any(row["client_id"] == "stored" for row in rows)

    eventually(clean, within=40)
