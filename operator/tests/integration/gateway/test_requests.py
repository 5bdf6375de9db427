"""A backend asks a device: the answer, no answer, and what is no answer."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from tests.integration.gateway.device import Device, Reaction, be_silent, echo, echo_3_1_1
from tests.integration.gateway.subscriber import Subscriber
from tests.integration.gateway.world import MAX_PENDING, MAX_REPLY, OTHER, World
from tests.integration.webhook.world import Answer, eventually

PHONE = "phone-1"
JSON = "application/json"
LATER = "respond-async"

Connect = Callable[..., Device]


@pytest.fixture
def connect(world: World) -> Iterator[Connect]:
    """Connects devices to the shared world."""
    eventually(world.gateway.hearing)
    made: list[Device] = []

    def one(react: Reaction, client_id: str = PHONE, **more: Any) -> Device:
        made.append(Device(world.broker.port, client_id, react, **more))
        return made[-1]

    yield one
    for device in made:
        device.stop()


def ask(
    world: World, body: Any = None, client_id: str = PHONE, token: str = "", **headers: str
) -> Answer:
    content = json.dumps({"payload": "?"} if body is None else body).encode()
    path = f"/v1/clients/{client_id}/requests"
    return world.gateway.send(path, content, token or world.token(), JSON, **headers)


def status(world: World, url: str, method: str = "GET", token: str = "") -> Answer:
    return world.gateway.request(method, url, Authorization=f"Bearer {token or world.token()}")


def dropped(world: World, why: str) -> float:
    text = world.gateway.request("GET", "/metrics").body.decode()
    for line in text.splitlines():
        if line.startswith(f'liveconnect_gateway_replies_total{{outcome="{why}"}}'):
            return float(line.rpartition(" ")[2])
    return 0.0


# --- answers


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_answer_comes_back(world: World, connect: Connect, qos: int) -> None:
    device = connect(
        lambda device, request: device.answer(
            request, b"battery: 71 %", content_type="text/plain", user=[("volts", "3.9")]
        )
    )
    answer = ask(world, {"payload": {"ask": "battery"}, "qos": qos, "contentType": JSON})
    assert answer.status == 200, answer
    got = answer.json
    assert got["status"] == "answered"
    assert got["clientId"] == PHONE
    assert got["answer"] == {
        "payload": "battery: 71 %",
        "contentType": "text/plain",
        "userProperties": {"volts": "3.9"},
    }
    asked = device.requests.get(timeout=5)
    pod, token = asked.topic.split("/")[-2:]
    assert asked.topic == f"clients/{PHONE}/requests/{pod}/{token}"
    assert got["id"] == f"{pod}-{token}"
    assert asked.payload == b'{"ask":"battery"}'
    assert asked.properties.ResponseTopic == f"clients/{PHONE}/replies/{pod}/{token}"
    assert asked.properties.CorrelationData == got["id"].encode()
    assert asked.properties.ContentType == JSON
    assert 28 <= asked.properties.MessageExpiryInterval <= 30


def test_mqtt_3_1_1_answers_by_convention(world: World, connect: Connect) -> None:
    connect(echo_3_1_1, version=MQTTProtocolVersion.MQTTv311)
    answer = ask(world, {"payload": "ping"})
    assert (answer.status, answer.json["answer"]) == (200, {"payload": "ping"}), answer


def test_bytes_come_back_as_base64(world: World, connect: Connect) -> None:
    connect(lambda device, request: device.answer(request, b"\xff\x00"))
    answer = ask(world)
    assert answer.json["answer"] == {"payloadBase64": base64.b64encode(b"\xff\x00").decode()}


def test_other_content_types(world: World, connect: Connect) -> None:
    device = connect(echo)
    answer = world.gateway.send(
        f"/v1/clients/{PHONE}/requests?timeoutSeconds=9&qos=2", b"plain", world.token(),
        "text/plain",
    )  # fmt: skip
    assert (answer.status, answer.json["answer"]["payload"]) == (200, "plain"), answer
    assert device.requests.get(timeout=5).properties.MessageExpiryInterval in {8, 9}


def test_many_at_a_time_each_get_their_own(world: World, connect: Connect) -> None:
    for number in range(3):
        connect(echo, f"phone-{number}")
    with ThreadPoolExecutor(6) as threads:
        answers = list(
            threads.map(lambda n: ask(world, {"payload": f"{n}"}, f"phone-{n % 3}"), range(60))
        )
    assert [answer.json["answer"]["payload"] for answer in answers] == [f"{n}" for n in range(60)]


# --- no answers


def test_no_answer_says_what_is_known(world: World, connect: Connect) -> None:
    connect(be_silent)
    world.presence.states[PHONE] = "online"
    answer = ask(world, {"payload": "?", "timeoutSeconds": 1})
    assert answer.status == 504, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    known = answer.json
    assert (known["sent"], known["acknowledged"], known["clientId"]) == (True, True, PHONE)
    assert known["presence"]["state"] == "online"
    assert status(world, f"/v1/requests/{known['id']}").status == 404


def test_no_answer_and_nobody_who_knows_presence(world: World) -> None:
    world.presence.failing = True
    answer = ask(world, {"payload": "?", "timeoutSeconds": 1}, "nobody")
    world.presence.failing = False
    assert (answer.status, answer.json["acknowledged"]) == (504, True)
    assert "presence" not in answer.json


def test_online_only(world: World, subscriber: Subscriber) -> None:
    world.presence.states["away"] = "offline"
    answer = ask(world, {"payload": "?", "delivery": "online-only"}, "away")
    assert (answer.status, answer.json["presence"]["state"]) == (409, "offline")
    assert subscriber.drain() == []


@pytest.mark.parametrize(
    ("why", "answer"),
    [
        ("wrong-correlation", lambda d, r: d.answer(r, b"x", correlation=b"another")),
        (
            "wrong-client",
            lambda d, r: d.answer(r, b"x", topic=r.properties.ResponseTopic.replace(PHONE, "p")),
        ),
        ("unknown", lambda d, r: d.answer(r, b"x", topic=r.properties.ResponseTopic[:-4] + "0000")),
        ("malformed", lambda d, r: d.answer(r, b"x", topic=r.properties.ResponseTopic[:-1] + "x")),
        ("too-long", lambda d, r: d.answer(r, b"x" * (MAX_REPLY + 1))),
    ],
)
def test_what_is_no_answer_is_dropped_and_counted(
    world: World, connect: Connect, why: str, answer: Reaction
) -> None:
    before = dropped(world, why)
    connect(answer)
    assert ask(world, {"payload": "?", "timeoutSeconds": 1}).status == 504
    assert dropped(world, why) == before + 1


def test_second_answer_is_dropped(world: World, connect: Connect) -> None:
    def twice(device: Device, request: Any) -> None:
        device.answer(request, b"first")
        device.answer(request, b"second")

    before = dropped(world, "duplicate")
    connect(twice)
    answer = ask(world, Prefer=LATER)
    assert answer.status in {200, 202}
    url = f"/v1/requests/{answer.json['id']}"
    eventually(lambda: dropped(world, "duplicate") == before + 1)
    assert status(world, url).json["answer"] == {"payload": "first"}


def test_answer_that_is_late(world: World, connect: Connect) -> None:
    before = dropped(world, "late")
    device = connect(be_silent)
    asked = ask(world, {"payload": "?", "timeoutSeconds": 1}, Prefer=LATER)
    url = asked.headers["Location"]
    eventually(lambda: status(world, url).json["status"] == "expired")
    device.answer(device.requests.get(timeout=5), b"too late")
    eventually(lambda: dropped(world, "late") == before + 1)
    assert status(world, url).json["status"] == "expired"


def test_caller_who_goes_away_leaves_nothing(world: World, connect: Connect) -> None:
    device = connect(be_silent)
    body = b'{"payload":"?","timeoutSeconds":60}'
    head = (
        f"POST /v1/clients/{PHONE}/requests HTTP/1.1\r\nHost: gateway\r\n"
        f"Authorization: Bearer {world.token()}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", world.gateway.port)) as connection:
        connection.sendall(head.encode() + body)
        device.requests.get(timeout=5)
        eventually(lambda: pending(world) == 1)
    eventually(lambda: pending(world) == 0)


def pending(world: World) -> float:
    text = world.gateway.request("GET", "/metrics").body.decode()
    name = "liveconnect_gateway_requests_pending "
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(name))


# --- answers that are fetched later


def test_later(world: World, connect: Connect) -> None:
    device = connect(be_silent)
    asked = ask(world, {"payload": "?", "timeoutSeconds": 3600}, Prefer=LATER)
    assert asked.status == 202, asked
    assert asked.headers["Preference-Applied"] == LATER
    url = asked.headers["Location"]
    assert url == f"/v1/requests/{asked.json['id']}"
    assert (asked.json["status"], asked.json["acknowledged"]) == ("pending", True)
    waiting = status(world, url)
    assert (waiting.status, waiting.json["status"]) == (200, "pending")
    assert waiting.headers["Retry-After"] == "1"
    assert status(world, url, token=world.token(OTHER)).status == 404
    assert status(world, url, "DELETE", world.token(OTHER)).status == 404
    device.answer(device.requests.get(timeout=5), b"here")
    eventually(lambda: status(world, url).json["status"] == "answered")
    assert status(world, url).json["answer"] == {"payload": "here"}
    assert "Retry-After" not in status(world, url).headers
    assert status(world, url, "PUT").status == 405
    assert status(world, url, "DELETE").status == 204
    assert status(world, url).status == 404


def test_later_but_answered_in_time(world: World, connect: Connect) -> None:
    connect(echo)
    assert ask(world, Prefer="respond-async, wait=20").status == 200
    began = time.monotonic()
    connect(be_silent, "phone-2")
    assert ask(world, client_id="phone-2", Prefer="respond-async, wait=1").status == 202
    assert time.monotonic() - began < 10


def test_too_many_wait(own_world: World) -> None:
    """No caller takes all; all together take no more than there is."""
    world = own_world
    eventually(world.gateway.hearing)
    answers = [ask(world, client_id="nobody", Prefer=LATER) for _ in range(MAX_PENDING + 1)]
    assert [answer.status for answer in answers] == [202] * MAX_PENDING + [503]
    assert (answers[-1].json["sent"], answers[-1].headers["Retry-After"]) == (False, "1")
    assert status(world, answers[0].headers["Location"], "DELETE").status == 204
    assert ask(world, client_id="nobody", Prefer=LATER).status == 202


def test_unknown_requests(world: World) -> None:
    for name in ("", "x", "0-" + "0" * 32, "7-" + "0" * 32, "0-" + "0" * 31, "0-" + "G" * 32):
        assert status(world, f"/v1/requests/{name}").status == 404


# --- retries


def test_same_key_is_one_request(world: World, connect: Connect, subscriber: Subscriber) -> None:
    device = connect(be_silent)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(ask, world, Idempotency_Key="log-1")
        request = device.requests.get(timeout=5)
        second = threads.submit(ask, world, Idempotency_Key="log-1")
        device.answer(request, b"once")
        answers = [first.result(), second.result(), ask(world, Idempotency_Key="log-1")]
    assert [answer.status for answer in answers] == [200] * 3, answers
    assert len({answer.body for answer in answers}) == 1
    assert device.requests.empty()
    other = ask(world, {"payload": "another"}, Idempotency_Key="log-1")
    assert (other.status, other.json["field"]) == (422, "Idempotency-Key")
    none = ask(world, {"payload": "?", "qos": 0}, Idempotency_Key="log-2")
    assert (none.status, none.json["field"]) == (422, "Idempotency-Key")
    names = [one.topic.split("/")[2] for one in subscriber.drain()]
    assert names.count("requests") == 1


# --- bad input: nothing is published


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"payload": "?", "timeoutSeconds": 0}, 422, "timeoutSeconds"),
        ({"payload": "?", "timeoutSeconds": 61}, 422, "timeoutSeconds"),
        ({"payload": "?", "timeoutSeconds": 3601}, 422, "timeoutSeconds"),
        ({"payload": "?", "timeoutSeconds": 1.5}, 422, "timeoutSeconds"),
        ({"payload": "?", "timeoutSeconds": "9"}, 422, "timeoutSeconds"),
        ({"payload": "?", "timeoutSeconds": 5, "messageExpirySeconds": 6}, 422,
         "messageExpirySeconds"),
        ({"payload": "?", "retain": True}, 422, "retain"),
        ({"payload": "?", "responseTopic": "orders/1"}, 422, "responseTopic"),
        ({"payload": "?", "correlationDataBase64": "eA=="}, 422, "correlationDataBase64"),
        ({"payload": "?", "topic": "orders/1"}, 422, "topic"),
        ({"payload": "?", "clientId": "other"}, 422, "clientId"),
        ({"payload": "?", "timeout": 1}, 422, "timeout"),
        ({}, 422, "payload"),
        ({"payload": "x" * 5000}, 413, "payload"),
    ],
)  # fmt: skip
def test_bad_requests(
    world: World, subscriber: Subscriber, body: dict[str, Any], code: int, field: str
) -> None:
    answer = ask(world, body)
    assert (answer.status, answer.json["field"]) == (code, field), answer
    assert subscriber.drain() == []


def test_more_bad_requests(world: World, subscriber: Subscriber) -> None:
    for client_id in ("%2B", "%23", "a%2Fb", "a%00", "x" * 101):
        answer = ask(world, client_id=client_id)
        assert answer.status in {413, 422}, client_id
        assert answer.json["field"] == "clientId"
    assert ask(world, client_id="%FF").status == 400
    twice = b'{"payload":"?","timeoutSeconds":1,"timeoutSeconds":2}'
    path = f"/v1/clients/{PHONE}/requests"
    answer = world.gateway.send(path, twice, world.token(), JSON)
    assert (answer.status, answer.json["field"]) == (422, "timeoutSeconds")
    answer = world.gateway.send(f"{path}?retain=true", b"?", world.token(), "text/plain")
    assert (answer.status, answer.json["field"]) == (422, "retain")
    answer = world.gateway.send(f"{path}?timeoutSeconds=x", b"?", world.token(), "text/plain")
    assert (answer.status, answer.json["field"]) == (422, "timeoutSeconds")
    assert world.gateway.request("GET", path).status == 405
    assert world.gateway.request("POST", path, b"{}").status == 401
    assert world.gateway.request("GET", "/v1/requests/0-" + "0" * 32).status == 401
    assert subscriber.drain() == []


def test_who_may_ask(world: World, subscriber: Subscriber) -> None:
    answer = ask(world, token=world.token(OTHER))
    assert (answer.status, answer.json["field"]) == (403, "topic")
    forged = world.gateway.post(
        {"topic": f"clients/{PHONE}/replies/0/{'0' * 32}", "payload": "x"}, world.token()
    )
    assert forged.status == 403
    assert subscriber.drain() == []
