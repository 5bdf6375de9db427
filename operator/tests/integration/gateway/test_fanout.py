"""One message to each of many clients, and the report."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.gateway.subscriber import Subscriber
from tests.integration.gateway.world import OTHER, World
from tests.integration.webhook.world import Answer

PATH = "/v1/fanout"
MESSAGE = {"payload": "closed today"}


def fan_out(world: World, members: Any, token: str = "", key: str = "", **more: Any) -> Answer:
    body = json.dumps({"members": members, "message": MESSAGE, **more}).encode()
    headers = {"Idempotency_Key": key} if key else {}
    token = token or world.token()
    return world.gateway.send(PATH, body, token, "application/json", **headers)


def lines(answer: Answer) -> list[dict[str, Any]]:
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/x-ndjson"), answer
    return [json.loads(line) for line in answer.body.splitlines()]


@pytest.fixture
def trucks(world: World) -> list[str]:
    """Twelve clients; every third is away."""
    names = [f"truck-{number:02}" for number in range(12)]
    world.presence.states.clear()
    world.presence.states.update(
        {name: "offline" if n % 3 == 0 else "online" for n, name in enumerate(names)}
    )
    world.presence.groups = {"drivers": set(names[:5])}
    world.presence.page = 5
    return names


def test_everybody_of_a_prefix(world: World, subscriber: Subscriber, trucks: list[str]) -> None:
    world.presence.states["car-1"] = "online"
    report = lines(fan_out(world, {"prefix": "truck-"}))
    told = [line for line in report if "clientId" in line]
    assert [line["clientId"] for line in told] == trucks
    assert told[0] == {
        "clientId": "truck-00",
        "presence": "offline",
        "status": 200,
        "result": "acknowledged",
    }
    assert [line for line in report if "clientId" not in line] == [
        {"next": "truck-04"},
        {"next": "truck-09"},
        {"members": 12, "online": 8, "published": 12, "next": None},
    ]
    topics = sorted(subscriber.next().topic for _ in trucks)
    assert topics == [f"clients/{name}/inbox" for name in trucks]
    assert subscriber.drain() == []


def test_a_group(world: World, subscriber: Subscriber, trucks: list[str]) -> None:
    *told, summary = lines(fan_out(world, {"group": "drivers"}))
    assert [line["clientId"] for line in told] == trucks[:5]
    assert summary == {"members": 5, "online": 3, "published": 5, "next": None}
    (nobody,) = lines(fan_out(world, {"group": "nobody"}))
    assert nobody == {"members": 0, "online": 0, "published": 0, "next": None}


def test_online_only(world: World, subscriber: Subscriber, trucks: list[str]) -> None:
    message = {**MESSAGE, "delivery": "online-only"}
    *told, summary = lines(
        fan_out(world, {"clientIds": [*trucks[:4], "stranger"]}, message=message)
    )
    assert [line["status"] for line in told] == [409, 200, 200, 409, 409]
    assert [line["presence"] for line in told][2:] == ["online", "offline", "unknown"]
    assert (summary["online"], summary["published"]) == (2, 2)
    assert sorted(subscriber.next().topic for _ in range(2)) == [
        f"clients/{name}/inbox" for name in trucks[1:3]
    ]
    assert subscriber.drain() == []


@pytest.mark.parametrize("by", ["prefix", "clientIds"])
def test_goes_on_where_it_stopped(
    world: World, subscriber: Subscriber, trucks: list[str], by: str
) -> None:
    members = {"prefix": "truck-"} if by == "prefix" else {"clientIds": trucks}
    seen: list[str] = []
    after: dict[str, Any] = {}
    while True:
        report = lines(fan_out(world, members, limit=7, **after))
        seen += [line["clientId"] for line in report if "clientId" in line]
        assert report[-1]["members"] <= 7
        if report[-1]["next"] is None:
            break
        after = {"after": report[-1]["next"]}
    assert seen == trucks
    assert len(subscriber.drain()) <= len(trucks)


def test_with_a_key_nobody_gets_it_twice(
    world: World, subscriber: Subscriber, trucks: list[str]
) -> None:
    first = lines(fan_out(world, {"clientIds": trucks[:3]}, key="closed"))
    again = lines(fan_out(world, {"clientIds": trucks[:6]}, key="closed"))
    assert first[:3] == again[:3]
    assert sorted(subscriber.next().topic for _ in range(6)) == [
        f"clients/{name}/inbox" for name in trucks[:6]
    ]
    assert subscriber.drain() == []
    other = lines(fan_out(world, {"clientIds": trucks[:1]}, key="closed", message={"payload": "!"}))
    assert (other[0]["status"], other[0]["field"]) == (422, "Idempotency-Key")


def test_who_may_not(world: World, subscriber: Subscriber, trucks: list[str]) -> None:
    *told, summary = lines(fan_out(world, {"group": "drivers"}, world.token(OTHER)))
    assert {line["status"] for line in told} == {403}
    assert (summary["members"], summary["published"]) == (5, 0)
    assert subscriber.drain() == []


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, None),
        ({"members": {}, "message": MESSAGE}, 422, "members"),
        ({"members": {"prefix": "a", "group": "b"}, "message": MESSAGE}, 422, "members"),
        ({"members": {"names": []}, "message": MESSAGE}, 422, "names"),
        ({"members": {"clientIds": []}, "message": MESSAGE}, 422, "clientIds"),
        ({"members": {"clientIds": ["a", "a"]}, "message": MESSAGE}, 422, "clientIds"),
        ({"members": {"clientIds": ["a", "+"]}, "message": MESSAGE}, 422, "clientIds"),
        ({"members": {"clientIds": ["x"] * 10001}, "message": MESSAGE}, 413, "clientIds"),
        ({"members": {"prefix": ""}, "message": MESSAGE}, 422, "prefix"),
        ({"members": {"group": "x" * 101}, "message": MESSAGE}, 422, "group"),
        ({"members": {"group": "a"}, "message": {}}, 422, "payload"),
        ({"members": {"group": "a"}, "message": {**MESSAGE, "topic": "a"}}, 422, "topic"),
        ({"members": {"group": "a"}, "message": {**MESSAGE, "qos": 3}}, 422, "qos"),
        ({"members": {"group": "a"}, "message": {"payload": "x" * 5000}}, 413, "payload"),
        ({"members": {"group": "a"}, "message": MESSAGE, "limit": 0}, 422, "limit"),
        ({"members": {"group": "a"}, "message": MESSAGE, "limit": 10001}, 422, "limit"),
        ({"members": {"group": "a"}, "message": MESSAGE, "after": "bad"}, 422, "after"),
        ({"members": {"clientIds": ["a"]}, "message": MESSAGE, "after": "7"}, 422, "after"),
        ({"members": {"group": "a"}, "message": MESSAGE, "colour": 1}, 422, "colour"),
    ],
)
def test_bad_requests(
    world: World, subscriber: Subscriber, body: Any, status: int, field: str | None
) -> None:
    content = json.dumps(body).encode()
    answer = world.gateway.send(PATH, content, world.token(), "application/json")
    assert (answer.status, answer.json.get("field")) == (status, field), answer
    assert subscriber.drain() == []


def test_more_bad_requests(world: World) -> None:
    send = world.gateway.send
    assert send(PATH, b"x", world.token(), "text/plain").status == 415
    assert send(f"{PATH}?a=b", b"{}", world.token(), "application/json").status == 422
    assert world.gateway.request("GET", PATH).status == 405
    world.presence.failing = True
    answer = fan_out(world, {"clientIds": ["a"]})
    world.presence.failing = False
    assert (answer.status, answer.json["sent"]) == (503, False)
    key = fan_out(world, {"clientIds": ["a"]}, key="k", message={**MESSAGE, "qos": 0})
    assert (key.status, key.json["field"]) == (422, "Idempotency-Key")
