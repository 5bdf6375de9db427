"""Answers to the gateway's requests, asked as VerneMQ asks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.webhook.conftest import make_world
from tests.integration.webhook.test_topics import OK, REFUSED, publish, subscribe
from tests.integration.webhook.world import BACKEND, World, eventually

GATEWAY = "system:serviceaccount:shop:demo-gateway"
ANYTHING = {"filter": "#", "allow": ["publish"], "allowRetain": True}
OWN = "clients/phone-1/replies/0/1"
HEARD = "clients/+/replies/0/+"


@pytest.fixture(scope="module")
def replies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An auth service whose gateway asks devices."""
    yield from make_world(
        tmp_path_factory.mktemp("replies"),
        topics=[ANYTHING],
        publishers=[{"subject": one, "publish": ["#"]} for one in (GATEWAY, BACKEND)],
        replies={"gateway": GATEWAY, "max_bytes": 5},
    )


def pod(world: World, name: str, subject: str = GATEWAY) -> str:
    bound = {"namespace": "shop", "pod": {"name": name, "uid": "u"}}
    return world.backend(subject, **{"kubernetes.io": bound})


def hears(world: World, token: str, topic: str = HEARD) -> Any:
    return subscribe(world, token, (topic, 1), m5=True, pool="publisher")


def test_each_pod_hears_its_own(replies: World) -> None:
    granted = {"result": "ok", "modifiers": {"topics": [{"topic": HEARD, "qos": 1}]}}
    assert hears(replies, pod(replies, "demo-gateway-0")) == granted
    assert hears(replies, pod(replies, "demo-gateway-1")) == REFUSED
    assert hears(replies, pod(replies, "demo-gateway-0", BACKEND)) == REFUSED
    assert hears(replies, replies.backend(GATEWAY)) == REFUSED
    assert hears(replies, pod(replies, "demo-gateway-0"), "#") == REFUSED


def test_devices_answer_for_themselves(replies: World) -> None:
    device = replies.device()
    assert publish(replies, device, OWN) == OK
    assert publish(replies, device, OWN, retain=True) == REFUSED
    assert publish(replies, device, OWN.replace("phone-1", "phone-2")) == REFUSED
    assert publish(replies, device, "clients/phone-2/inbox") == OK
    for subject in (GATEWAY, BACKEND):
        token = pod(replies, "demo-gateway-0", subject)
        assert publish(replies, token, OWN, pool="publisher") == REFUSED
        assert publish(replies, token, "clients/phone-1/requests/0/1", pool="publisher") == OK


def test_rule_is_taken_up_while_it_runs(tmp_path: Path) -> None:
    """Pods need not be replaced for it."""
    publishers = [{"subject": GATEWAY, "publish": ["#"]}]
    for world in make_world(tmp_path, publishers=publishers):
        token = pod(world, "demo-gateway-0")
        assert hears(world, token) == REFUSED
        config = world.folder / "config.json"
        content = {**json.loads(config.read_text()), "replies": {"gateway": GATEWAY}}
        fresh = world.folder / "config.new"
        fresh.write_text(json.dumps(content))
        fresh.replace(config)
        eventually(lambda: hears(world, token) != REFUSED)  # noqa: B023 - there is one world
