"""Subscribing and publishing, asked as VerneMQ asks."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from typing import Any

from tests.integration.webhook.world import World, running_service

OK = {"result": "ok"}
REFUSED = {"result": {"error": "not_allowed"}}


def subscribe(
    world: World, token: str, *topics: tuple[str, int], m5: bool = False, pool: str = "subscriber"
) -> Any:
    body: dict[str, Any] = {
        "username": token,
        "mountpoint": "",
        "client_id": "phone-1",
        "topics": [{"topic": topic, "qos": qos} for topic, qos in topics],
    }
    if m5:
        body["properties"] = {}
        for topic in body["topics"]:
            topic |= {"no_local": False, "rap": False, "retain_handling": "send_retain"}
    answer = world.service.hook("auth_on_subscribe" + ("_m5" if m5 else ""), body, pool=pool)
    assert answer.status == 200
    return answer.json


def publish(
    world: World,
    token: str,
    topic: str,
    *,
    qos: int = 1,
    retain: bool = False,
    pool: str = "subscriber",
) -> Any:
    return publish_body(world, token, pool, topic=topic, qos=qos, retain=retain)


def publish_body(world: World, token: str, pool: str = "subscriber", **fields: Any) -> Any:
    body = {
        "username": token,
        "mountpoint": "",
        "client_id": "phone-1",
        "qos": 1,
        "payload": "aGVsbG8=",
        "retain": False,
        **fields,
    }
    answer = world.service.hook("auth_on_publish", body, pool=pool)
    assert answer.status == 200
    return answer.json


WANTED = (("orders/43/7/status", 1), ("orders/42/+/status", 2), ("devices/phone-1/#", 2), ("#", 0))


def test_subscribe_311_is_answered_in_the_bodys_order(world: World) -> None:
    assert subscribe(world, world.device(), *WANTED) == {
        "result": "ok",
        "topics": [
            {"topic": "orders/43/7/status", "qos": 128},
            {"topic": "orders/42/+/status", "qos": 1},
            {"topic": "devices/phone-1/#", "qos": 2},
            {"topic": "#", "qos": 128},
        ],
    }


def test_subscribe_5_is_answered_in_the_bodys_order(world: World) -> None:
    assert subscribe(world, world.device(), *WANTED, m5=True) == {
        "result": "ok",
        "modifiers": {
            "topics": [
                {"topic": "orders/43/7/status", "qos": 135},
                {"topic": "orders/42/+/status", "qos": 1},
                {"topic": "devices/phone-1/#", "qos": 2},
                {"topic": "#", "qos": 135},
            ]
        },
    }


def test_an_expired_token_subscribes_and_publishes_nothing(world: World) -> None:
    token = world.device(exp=int(time.time()) - 10)
    assert subscribe(world, token, ("orders/42/+/status", 1)) == REFUSED
    assert subscribe(world, token, ("orders/42/+/status", 1), m5=True) == REFUSED
    assert publish(world, token, "devices/phone-1/x") == REFUSED


def test_publish(world: World) -> None:
    token = world.device()
    assert publish(world, token, "devices/phone-1/x") == {"result": "ok"}
    assert publish(world, token, "devices/phone-1/x", retain=True) == REFUSED
    assert publish(world, token, "devices/phone-2/x") == REFUSED
    assert publish(world, token, "orders/42/7/status") == REFUSED
    assert publish(world, token, "$SYS/x") == REFUSED


def test_a_payload_is_measured_in_bytes(world: World) -> None:
    token = world.device()
    for payload, answer in (("aGVs", OK), ("aGVsbA==", OK), ("aGVsbG8=", REFUSED), (5, REFUSED)):
        assert publish_body(world, token, topic="notes/phone-1", payload=payload) == answer


def test_messages_as_large_as_the_brokers_take_are_decided(own_world: World) -> None:
    """A body that is too long is a refusal, and so the end of a 3.1.1 client's connection."""
    config = own_world.folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"max_message_bytes": 3_000_000}))
    with running_service(own_world.folder, config) as service:
        world = replace(own_world, service=service)
        token = world.device()
        large = base64.b64encode(bytes(2_900_000)).decode()
        assert publish_body(world, token, topic="devices/phone-1/log", payload=large) == OK
        assert publish_body(world, token, topic="devices/phone-2/log", payload=large) == REFUSED


def test_groups_are_read_from_the_token(world: World) -> None:
    wanted = ("depots/7/gate", 0)
    granted = {"result": "ok", "topics": [{"topic": "depots/7/gate", "qos": 0}]}
    for groups in (["staff", "drivers"], "drivers"):
        assert subscribe(world, world.device(groups=groups), wanted) == granted
    for other in ([], ["staff"], "drivers staff", {"drivers": True}, [["drivers"]], None, 1):
        assert subscribe(world, world.device(groups=other), wanted) == REFUSED


def test_a_backend_publishes_and_never_subscribes(world: World) -> None:
    token = world.backend()
    assert publish(world, token, "orders/42/7/status", pool="publisher") == {"result": "ok"}
    assert publish(world, token, "news/x", pool="publisher") == REFUSED
    assert subscribe(world, token, ("orders/#", 1), pool="publisher") == REFUSED


def test_reauthentication_is_refused(world: World) -> None:
    body = {"username": world.device(), "mountpoint": "", "client_id": "phone-1", "properties": {}}
    assert world.service.hook("on_auth_m5", body).json == REFUSED
