"""Whatever is wrong is refused with the right status and field, and nothing is published."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.gateway.subscriber import Subscriber
from tests.integration.gateway.world import MAX_PAYLOAD, World
from tests.integration.webhook.world import Keys, backend_claims

GOOD: dict[str, Any] = {"topic": "orders/1", "payload": "x"}
LAST = "orders/last"


def but(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in GOOD.items() if key != name}).encode()


BODIES: dict[str, tuple[bytes, int, str | None]] = {
    "empty": (b"", 400, None),
    "no JSON": (b"topic=orders/1", 400, None),
    "truncated": (b'{"topic":"orders/1"', 400, None),
    "trailing": (b'{"topic":"orders/1","payload":"x"}{}', 400, None),
    "array": (b'[{"topic":"orders/1","payload":"x"}]', 400, None),
    "null": (b"null", 400, None),
    "string": (b'"orders/1"', 400, None),
    "NaN": (b'{"topic":"orders/1","payload":[NaN]}', 400, None),
    "trailing comma": (b'{"topic":"orders/1","payload":"x",}', 400, None),
    "single quotes": (b"{'topic':'orders/1','payload':'x'}", 400, None),
    "line break in a string": (b'{"topic":"orders/1","payload":"a\nb"}', 400, None),
    "byte order mark": (b"\xef\xbb\xbf" + but(), 400, None),
    "UTF-16": (json.dumps(GOOD).encode("utf-16"), 400, None),
    "Latin-1": (b'{"topic":"orders/1","payload":"\xe4"}', 400, None),
    "Latin-1 deep inside": (b'{"topic":"orders/1","payload":{"a":"\xe4"}}', 400, None),
    "unpaired surrogate": (b'{"topic":"orders/1","payload":"\\ud800"}', 400, None),
    "nested deeply": (b'{"topic":"a","payload":' + b"[" * 3000 + b"]" * 3000 + b"}", 400, None),
    "no topic": (without("topic"), 422, "topic"),
    "topic null": (but(topic=None), 422, "topic"),
    "topic number": (but(topic=7), 422, "topic"),
    "topic list": (but(topic=["orders/1"]), 422, "topic"),
    "topic empty": (but(topic=""), 422, "topic"),
    "topic with +": (but(topic="orders/+/status"), 422, "topic"),
    "topic with #": (but(topic="orders/#"), 422, "topic"),
    "topic with NUL": (but(topic="orders/\0"), 422, "topic"),
    "topic with control": (but(topic="orders/\x1b"), 422, "topic"),
    "topic of the broker": (but(topic="$SYS/broker/uptime"), 422, "topic"),
    "topic shared": (but(topic="$share/g/orders/1"), 422, "topic"),
    "topic deep": (but(topic="orders" + "/a" * 10), 422, "topic"),
    "topic long": (but(topic="orders/" + "a" * 65529), 413, "topic"),
    "topic twice": (b'{"topic":"orders/1","topic":"orders/2","payload":"x"}', 422, "topic"),
    "topic twice, disguised": (b'{"topic":"a","t\\u006fpic":"b","payload":""}', 422, "topic"),
    "no payload": (without("payload"), 422, "payload"),
    "both payloads": (but(payloadBase64="eA=="), 422, "payload"),
    "payload null": (but(payload=None), 422, "payload"),
    "payload number": (but(payload=1), 422, "payload"),
    "payload boolean": (but(payload=True), 422, "payload"),
    "payload twice": (b'{"topic":"orders/1","payload":"x","payload":"x"}', 422, "payload"),
    "payload long": (but(payload="x" * (MAX_PAYLOAD + 1)), 413, "payload"),
    "payload long in UTF-8": (but(payload="ä" * (MAX_PAYLOAD // 2 + 1)), 413, "payload"),
    "base64 null": (b'{"topic":"orders/1","payloadBase64":null}', 422, "payloadBase64"),
    "base64 list": (b'{"topic":"orders/1","payloadBase64":[]}', 422, "payloadBase64"),
    "base64 alphabet": (b'{"topic":"orders/1","payloadBase64":"a*=="}', 422, "payloadBase64"),
    "base64 of URLs": (b'{"topic":"orders/1","payloadBase64":"_-8="}', 422, "payloadBase64"),
    "base64 unpadded": (b'{"topic":"orders/1","payloadBase64":"eA"}', 422, "payloadBase64"),
    "base64 spaced": (b'{"topic":"orders/1","payloadBase64":"eA= ="}', 422, "payloadBase64"),
    "base64 long": (
        b'{"topic":"orders/1","payloadBase64":"%s"}' % (b"eHh4" * (MAX_PAYLOAD // 3 + 1)),
        413,
        "payloadBase64",
    ),
    "qos 3": (but(qos=3), 422, "qos"),
    "qos -1": (but(qos=-1), 422, "qos"),
    "qos true": (but(qos=True), 422, "qos"),
    "qos null": (but(qos=None), 422, "qos"),
    "qos string": (but(qos="1"), 422, "qos"),
    "qos 1.0": (but(qos=1.0), 422, "qos"),
    "qos huge": (b'{"topic":"orders/1","payload":"","qos":1' + b"0" * 100 + b"}", 422, "qos"),
    "retain 1": (but(retain=1), 422, "retain"),
    "retain null": (but(retain=None), 422, "retain"),
    "retain string": (but(retain="true"), 422, "retain"),
    "unknown field": (but(expiry=10), 422, "expiry"),
    "field in capitals": (but(QoS=1), 422, "QoS"),
    "somebody else's topic": (but(topic="invoices/1"), 403, "topic"),
    "above one's topics": (but(topic="devices/7"), 403, "topic"),
    "below one's topics": (but(topic="devices/7/commands/x"), 403, "topic"),
}  # fmt: skip


def nothing_arrived(world: World, subscriber: Subscriber) -> None:
    """Publish one message more; it must be the first that arrives."""
    assert world.gateway.post({"topic": LAST, "payload": ""}, world.token()).status == 200
    assert subscriber.next().topic == LAST


@pytest.mark.parametrize("name", BODIES)
def test_body(world: World, subscriber: Subscriber, name: str) -> None:
    body, status, field = BODIES[name]
    answer = world.gateway.post(body, world.token())
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json
    assert problem["status"] == status
    assert problem["detail"]
    assert problem.get("field") == field
    if field is not None and status != 403:
        assert problem["detail"].startswith(f"{field}: ")
    nothing_arrived(world, subscriber)


TOKENS: dict[str, Callable[[World], str]] = {
    "no token": lambda _: "",
    "nonsense": lambda _: "Bearer nonsense",
    "another scheme": lambda w: f"Basic {w.token()}",
    "no scheme": lambda w: w.token(),
    "expired": lambda w: f"Bearer {w.token(exp=1_700_000_000)}",
    "not yet valid": lambda w: f"Bearer {w.token(nbf=4_000_000_000)}",
    "for another audience": lambda w: f"Bearer {w.token(aud=['vault'])}",
    "of another issuer": lambda w: f"Bearer {w.token(iss='https://login.example')}",
    "signed by somebody else": lambda _: f"Bearer {Keys('cluster-1').sign(backend_claims())}",
    "with an unknown key": lambda _: f"Bearer {Keys('other').sign(backend_claims())}",
    "unsigned": lambda _: "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.",
    "very long": lambda _: "Bearer " + "a" * 15_000,
}


@pytest.mark.parametrize("name", TOKENS)
def test_token(world: World, subscriber: Subscriber, name: str) -> None:
    headers = {"Authorization": TOKENS[name](world)} if TOKENS[name](world) else {}
    answer = world.gateway.request("POST", "/v1/publish", but(), **headers)
    assert answer.status == 401, answer
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.headers["Content-Type"] == "application/problem+json"
    nothing_arrived(world, subscriber)


def test_caller_that_nobody_named(world: World, subscriber: Subscriber) -> None:
    stranger = world.token("system:serviceaccount:other:orders")
    assert world.gateway.post(but(), stranger).status == 403
    nothing_arrived(world, subscriber)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/publish", 405),
        ("PUT", "/v1/publish", 405),
        ("POST", "/v1/publish/", 404),
        ("POST", "/v1", 404),
        ("GET", "/", 404),
        ("POST", "/healthz", 405),
    ],
)
def test_path(world: World, method: str, path: str, status: int) -> None:
    answer = world.gateway.request(
        method, path, but() if method != "GET" else None, Authorization=f"Bearer {world.token()}"
    )
    assert answer.status == status
    assert answer.json["status"] == status
    assert (status == 405) == ("Allow" in answer.headers)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("application/x-www-form-urlencoded", 415),
        ("application/cloudevents-batch+json", 415),
        ("text/html", 415),
    ],
)
def test_content_type(world: World, kind: str, status: int) -> None:
    assert world.gateway.post(but(), world.token(), Content_Type=kind).status == status


def test_body_that_is_far_too_long(world: World, subscriber: Subscriber) -> None:
    answer = world.gateway.post(but(payload="x" * 500_000), world.token())
    assert answer.status == 413
    nothing_arrived(world, subscriber)


def test_body_that_never_ends(world: World, subscriber: Subscriber) -> None:
    """Its connection is given up; all others are served meanwhile."""
    head = (
        f"POST /v1/publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {world.token()}\r\n"
        "Content-Length: 1000\r\n\r\n{"
    )
    with socket.create_connection(("127.0.0.1", world.gateway.port), 20) as connection:
        connection.sendall(head.encode())
        nothing_arrived(world, subscriber)
        assert connection.recv(65536).startswith(b"HTTP/1.1 408")
    nothing_arrived(world, subscriber)


def test_nothing_of_it_is_an_error_of_ours(world: World) -> None:
    """Last in this file: none of the above was logged as an error."""
    assert [line for line in world.gateway.logs() if line["level"] in {"error", "critical"}] == []
