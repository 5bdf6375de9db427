"""What a caller posts arrives as it was posted."""

from __future__ import annotations

import base64
import http.client

import pytest

from liveconnect.gateway.messages import Message
from tests.integration.gateway.subscriber import Subscriber
from tests.integration.gateway.world import MAX_PAYLOAD, OTHER, World

TOPIC = "orders/42/7/status"


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("retain", [False, True])
def test_arrives(world: World, subscriber: Subscriber, qos: int, *, retain: bool) -> None:
    body = {"topic": TOPIC, "payload": "on its way 🛵", "qos": qos, "retain": retain}
    answer = world.gateway.post(body, world.token())
    assert answer.status == (202 if qos == 0 else 200), answer
    assert answer.json == {"status": "sent" if qos == 0 else "acknowledged"}
    got = subscriber.next()
    assert (got.topic, got.payload.decode(), got.qos, got.retain) == (
        TOPIC, "on its way 🛵", qos, retain,
    )  # fmt: skip


def test_defaults_are_qos_1_and_not_retained(world: World, subscriber: Subscriber) -> None:
    assert world.gateway.post({"topic": TOPIC, "payload": ""}, world.token()).status == 200
    got = subscriber.next()
    assert (got.payload, got.qos, got.retain) == (b"", 1, False)


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        (b'{"topic":"orders/1","payload":"a\\"b\\n\\u00e4"}', 'a"b\nä'.encode()),
        (b'{"topic":"orders/1","payload":{"b": 1.0, "a": [1e400]}}', b'{"b":1.0,"a":[1e400]}'),
        (b'{"topic":"orders/1","payload": [ ]}', b"[]"),
        (b'{"topic":"orders/1","payload":{"topic":1,"qos":2}}', b'{"topic":1,"qos":2}'),
        (b'{"topic":"orders/1","payloadBase64":"/wD+"}', b"\xff\x00\xfe"),
        (b'{"topic":"orders/1","payloadBase64":""}', b""),
        (b' {"topic" : "orders/1" , "payload":"x"}\n', b"x"),
    ],
)  # fmt: skip
def test_payload_forms(world: World, subscriber: Subscriber, body: bytes, payload: bytes) -> None:
    assert world.gateway.post(body, world.token()).status == 200
    assert subscriber.next().payload == payload


def test_largest_payload(world: World, subscriber: Subscriber) -> None:
    frame = Message(TOPIC, b"", 2, retain=False).packet_bytes
    payload = (bytes(range(256)) * (MAX_PAYLOAD // 256))[frame:]
    body = {"topic": TOPIC, "payloadBase64": base64.b64encode(payload).decode(), "qos": 2}
    assert world.gateway.post(body, world.token()).status == 200
    assert subscriber.next().payload == payload
    more = world.gateway.post({**body, "contentType": "a"}, world.token())
    assert (more.status, more.json["field"]) == (413, "payload")


def test_each_caller_has_topics_of_its_own(world: World, subscriber: Subscriber) -> None:
    mine = world.gateway.post({"topic": "invoices/7", "payload": "x"}, world.token(OTHER))
    other = world.gateway.post({"topic": TOPIC, "payload": "x"}, world.token(OTHER))
    below = world.gateway.post({"topic": "invoices/7/a", "payload": "x"}, world.token(OTHER))
    assert [mine.status, other.status, below.status] == [200, 403, 403]
    assert other.json["field"] == "topic"
    assert OTHER in other.json["detail"]
    assert subscriber.next().topic == "invoices/7"
    assert subscriber.drain() == []


def test_connection_is_reused(world: World, subscriber: Subscriber) -> None:
    """A hundred messages on one connection, in order."""
    connection = http.client.HTTPConnection("127.0.0.1", world.gateway.port, timeout=10)
    headers = {"Authorization": f"bearer {world.token()}", "Content-Type": "application/json"}
    for number in range(100):
        body = f'{{"topic":"orders/1","payload":"{number}","qos":1}}'
        connection.request("POST", "/v1/publish", body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    connection.close()
    assert [subscriber.next().payload for _ in range(100)] == [b"%d" % n for n in range(100)]
