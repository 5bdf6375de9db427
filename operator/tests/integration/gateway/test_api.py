"""Each way to publish: to topics, clients, groups, in batches, as text, bytes and CloudEvents."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

from liveconnect.gateway import openapi
from tests.integration.gateway.subscriber import Subscriber
from tests.integration.gateway.world import OTHER, SLOW, World
from tests.integration.webhook.world import Answer

TOPIC = "orders/7"
EVENT = {
    "ce-specversion": "1.0",
    "ce-id": "A234-1234-1234",
    "ce-source": "https://shop.example/orders",
    "ce-type": "example.order.shipped",
    "ce-time": "2026-11-24T03:00:00Z",
    "ce-subject": "Euro%20%E2%82%AC",
}


def post_json(world: World, path: str, **body: Any) -> Answer:
    return world.gateway.send(path, json.dumps(body).encode(), world.token(), "application/json")


def results(answer: Answer) -> list[dict[str, Any]]:
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.body.splitlines()]


def nothing_arrived(world: World, subscriber: Subscriber) -> None:
    assert post_json(world, "/v1/publish", topic="orders/last", payload="").status == 200
    assert subscriber.next().topic == "orders/last"


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_properties_arrive(world: World, subscriber: Subscriber, qos: int) -> None:
    answer = post_json(
        world,
        "/v1/publish",
        topic=TOPIC,
        payload={"a": 1},
        qos=qos,
        messageExpirySeconds=600,
        contentType="application/json",
        userProperties={"trace": "7", "größe": "ü"},
        responseTopic="orders/7/answers",
        correlationDataBase64=base64.b64encode(b"\x00\xff").decode(),
    )
    assert answer.status == (200 if qos else 202), answer
    got = subscriber.next().properties
    assert 595 <= got.pop("MessageExpiryInterval") <= 600
    assert got == {
        "ContentType": "application/json",
        "ResponseTopic": "orders/7/answers",
        "CorrelationData": "00ff",
        "UserProperty": [("trace", "7"), ("größe", "ü")],
    }


def test_text_and_bytes(world: World, subscriber: Subscriber) -> None:
    token, path = world.token(), f"/v1/publish?topic={TOPIC.replace('/', '%2F')}&qos=2"
    text = world.gateway.send(path, "grüße".encode(), token, "text/plain; charset=utf-8")
    binary = world.gateway.send(
        f"{path}&retain=true&messageExpirySeconds=60",
        b"\xff\x00",
        token,
        "application/octet-stream",
    )
    assert [text.status, binary.status] == [200, 200], (text, binary)
    first, second = subscriber.next(), subscriber.next()
    assert (first.topic, first.payload.decode(), first.qos) == (TOPIC, "grüße", 2)
    assert first.properties["ContentType"] == "text/plain; charset=utf-8"
    assert (second.payload, second.retain) == (b"\xff\x00", True)
    assert second.properties["ContentType"] == "application/octet-stream"


def test_cloud_event_in_binary_mode(world: World, subscriber: Subscriber) -> None:
    """MQTT's binding: data in the payload, attributes as user properties."""
    answer = world.gateway.send(
        f"/v1/publish?topic={TOPIC}", b'{"n": 1.0}', world.token(), "application/json", **EVENT
    )
    assert answer.status == 200, answer
    got = subscriber.next()
    assert got.payload == b'{"n": 1.0}'
    assert got.properties["ContentType"] == "application/json"
    assert dict(got.properties["UserProperty"]) == {
        **{name.removeprefix("ce-"): value for name, value in EVENT.items()},
        "subject": "Euro €",
    }


def test_cloud_event_in_structured_mode(world: World, subscriber: Subscriber) -> None:
    event = {name.removeprefix("ce-"): value for name, value in EVENT.items()}
    body = json.dumps({**event, "data": {"n": 1.0}}, indent=1).encode()
    kind = "application/cloudevents+json; charset=utf-8"
    answer = world.gateway.send("/v1/clients/phone-1/messages", body, world.token(), kind)
    assert answer.status == 200, answer
    got = subscriber.next()
    assert (got.topic, got.payload) == ("clients/phone-1/inbox", body)
    assert got.properties["ContentType"] == "application/cloudevents+json"


def test_clients_and_groups_have_topics(world: World, subscriber: Subscriber) -> None:
    client = post_json(world, "/v1/clients/phone%20%C3%A4/messages", payload="x")
    group = post_json(world, "/v1/groups/g/messages", payload="x")
    by_body = post_json(world, "/v1/publish", clientId="phone-2", payload="x")
    assert [client.status, group.status, by_body.status] == [200, 200, 200]
    assert [subscriber.next().topic for _ in range(3)] == [
        "clients/phone ä/inbox", "groups/g/inbox", "clients/phone-2/inbox",
    ]  # fmt: skip


def test_topic_rules_hold_for_clients_and_groups(world: World, subscriber: Subscriber) -> None:
    body, token = b'{"payload":"x"}', world.token(OTHER)
    client = world.gateway.send("/v1/clients/phone/messages", body, token, "application/json")
    group = post_json(world, "/v1/groups/secret/messages", payload="x")
    assert [client.status, group.status] == [403, 403]
    nothing_arrived(world, subscriber)


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/v1/clients/a%2Fb/messages", 422, "clientId"),
        ("/v1/clients/%2B/messages", 422, "clientId"),
        ("/v1/clients/a%00/messages", 422, "clientId"),
        ("/v1/clients/" + "a" * 101 + "/messages", 413, "clientId"),
        ("/v1/clients/%FF/messages", 400, None),
        ("/v1/groups/%23/messages", 422, "group"),
        ("/v1/clients/a/messages?qos=1", 422, "query"),
        ("/v1/clients//messages", 404, None),
    ],
)
def test_bad_addresses(
    world: World, subscriber: Subscriber, path: str, status: int, field: str | None
) -> None:
    answer = post_json(world, path, payload="x")
    assert (answer.status, answer.json.get("field")) == (status, field), answer
    nothing_arrived(world, subscriber)


def test_batch_has_a_result_for_each_line_in_order(world: World, subscriber: Subscriber) -> None:
    lines = [
        b'{"topic":"orders/1","payload":"a","qos":0}',
        b'{"topic":"orders/1","payload":"b"}\r',
        b"",
        b'{"topic":"orders/#","payload":"c"}',
        b"no JSON",
        b'{"clientId":"phone","payload":"d","qos":2}',
        b'{"topic":"invoices/1","payload":"e"}',
        b'{"topic":"orders/1","payload":"' + b"x" * 5000 + b'"}',
        b'{"topic":"orders/1","payload":"f","delivery":"online-only"}',
    ]
    answer = world.gateway.send(
        "/v1/publish/batch", b"\n".join(lines), world.token(), "application/x-ndjson"
    )
    assert answer.status == 200, answer
    got = results(answer)
    assert [item["index"] for item in got] == list(range(8))
    assert [item["status"] for item in got] == [202, 200, 422, 400, 200, 403, 413, 422]
    assert got[2]["field"] == "topic"
    assert [got[0]["result"], got[1]["result"]] == ["sent", "acknowledged"]
    assert [subscriber.next().payload for _ in range(3)] == [b"a", b"b", b"d"]
    nothing_arrived(world, subscriber)


def test_batch_is_longer_than_the_window(world: World, subscriber: Subscriber) -> None:
    body = b"\n".join(b'{"topic":"orders/1","payload":"%d"}' % n for n in range(500))
    answer = world.gateway.send("/v1/publish/batch", body, world.token(), "application/x-ndjson")
    assert {item["status"] for item in results(answer)} == {200}
    assert [subscriber.next().payload for _ in range(500)] == [b"%d" % n for n in range(500)]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/x-ndjson", 400),
        (b"\n \n", "application/x-ndjson", 400),
        (b'{"topic":"orders/1","payload":""}\n' * 10_001, "application/x-ndjson", 413),
        (b'{"topic":"orders/1","payload":""}', "application/json", 415),
    ],
)
def test_bad_batches(
    world: World, subscriber: Subscriber, body: bytes, kind: str, status: int
) -> None:
    answer = world.gateway.send("/v1/publish/batch", body, world.token(), kind)
    assert answer.status == status
    nothing_arrived(world, subscriber)


def test_online_only(world: World, subscriber: Subscriber) -> None:
    world.presence.states.update({"here": "online", "away": "offline", "lost": "unknown"})
    body = {"payload": "x", "delivery": "online-only"}
    here = post_json(world, "/v1/clients/here/messages", **body)
    assert here.status == 200, here
    assert subscriber.next().topic == "clients/here/inbox"
    for client, state in (("away", "offline"), ("lost", "unknown"), ("stranger", "unknown")):
        answer = post_json(world, f"/v1/clients/{client}/messages", **body)
        assert answer.status == 409
        assert answer.json["sent"] is False
        assert answer.json["presence"]["state"] == state
    assert world.presence.tokens[-1].startswith("Bearer ey")
    no_client = post_json(world, "/v1/publish", topic=TOPIC, **body)
    assert (no_client.status, no_client.json["field"]) == (422, "delivery")
    world.presence.failing = True
    unknown = post_json(world, "/v1/clients/here/messages", **body)
    world.presence.failing = False
    assert (unknown.status, unknown.headers["Retry-After"]) == (503, "2")
    nothing_arrived(world, subscriber)


def test_description_is_served(world: World) -> None:
    answer = world.gateway.request("GET", "/openapi.json")
    assert answer.status == 200
    assert answer.json == openapi.document()
    assert answer.json["openapi"] == "3.1.0"


def test_quota(world: World, subscriber: Subscriber) -> None:
    """The shared world gives one caller two messages a second."""
    token = world.token(SLOW)
    answers = [world.gateway.post({"topic": "slow/1", "payload": "x"}, token) for _ in range(8)]
    refused = [answer for answer in answers if answer.status == 429]
    assert {answer.status for answer in answers} == {200, 429}
    assert refused[0].headers["Retry-After"] == "1"
    assert refused[0].json["sent"] is False
    assert world.gateway.post({"topic": TOPIC, "payload": ""}, world.token()).status == 200
    expected = sum(answer.status == 200 for answer in answers) + 1
    assert len([subscriber.next() for _ in range(expected)]) == expected
    assert subscriber.drain() == []


@pytest.mark.parametrize("qos", [1, 2])
def test_acknowledgements_are_not_held_back(world: World, subscriber: Subscriber, qos: int) -> None:
    """Mosquitto waits for TCP's acknowledgement of one small packet before it sends the next."""
    body = b'{"topic":"orders/1","payload":"","qos":%d}\n' % qos * 5

    def seconds() -> float:
        began = time.perf_counter()
        world.gateway.send("/v1/publish/batch", body, world.token(), "application/x-ndjson")
        return time.perf_counter() - began

    assert min(seconds() for _ in range(20)) < 0.03
    for _ in range(100):
        subscriber.next()
