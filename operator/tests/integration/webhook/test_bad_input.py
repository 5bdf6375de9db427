"""Whatever is sent: a 4xx with a JSON problem or a refusal; never a 5xx, never a yes."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import pytest

from tests.integration.webhook.world import World, eventually, register_body

HOOKS = [
    "auth_on_register",
    "auth_on_register_m5",
    "auth_on_subscribe",
    "auth_on_subscribe_m5",
    "auth_on_publish",
    "auth_on_publish_m5",
    "on_auth_m5",
]
BODIES = {
    "nothing": b"",
    "not JSON": b"hello",
    "cut off": b'{"client_id": "x"',
    "null": b"null",
    "an array": b"[]",
    "an empty object": b"{}",
    "invalid UTF-8": b'{"client_id": "\xff\xfe", "username": "\xff", "mountpoint": ""}',
    "nested deeply": b'{"client_id":' * 20_000,
    "a bomb of brackets": b"[" * 500_000,
    "1 MiB of it": json.dumps(register_body("x" * (1 << 20), "phone-1")).encode(),
    "wrong types": b'{"client_id": 1, "username": [], "mountpoint": {}, "topics": "x"}',
    "no topics": b'{"client_id":"c","mountpoint":"","username":"x","topics":[]}',
    "an impossible QoS": b'{"client_id":"c","mountpoint":"","username":"x","qos":3,"topic":"a",'
    b'"retain":false,"topics":[{"topic":"a","qos":-1}],"peer_addr":"","peer_port":"x"}',
}


def is_problem(status: int, headers: dict[str, str], body: bytes) -> bool:
    document = json.loads(body)
    return (
        400 <= status < 500
        and headers["Content-Type"] == "application/problem+json"
        and document["status"] == status
        and bool(document["title"])
    )


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("hook", HOOKS)
def test_bad_bodies(world: World, hook: str, body: bytes) -> None:
    if hook == "on_auth_m5" and b'"client_id":"c"' in body:
        return  # to that hook it is a good body
    answer = world.service.hook(hook, body)
    assert is_problem(answer.status, answer.headers, answer.body)


@pytest.mark.parametrize(
    ("path", "hook", "status"),
    [
        ("/hooks/auth/subscriber/n-0", "auth_on_everything", 404),
        ("/hooks/auth/subscriber/n-0", "", 404),
        ("/hooks/auth/subscriber/n-0", "on_register", 404),
        ("/hooks/presence/subscriber/n-0", "auth_on_register", 404),
        ("/hooks/auth/subscriber/n-0", "on_publish", 404),
        ("/hooks/auth/other/n-0", "auth_on_register", 404),
        ("/hooks/auth/subscriber/", "auth_on_register", 404),
        ("/hooks/auth/subscriber/a/b", "auth_on_register", 404),
        ("/hooks/auth/subscriber/..%2f", "auth_on_register", 404),
        ("/hooks/auth/subscriber/" + "n" * 300, "auth_on_register", 404),
        ("/nothing", "auth_on_register", 404),
        ("/", "auth_on_register", 404),
        ("/healthz", "auth_on_register", 405),
    ],
)
def test_wrong_places(world: World, path: str, hook: str, status: int) -> None:
    body = json.dumps(register_body(world.device(), "phone-1")).encode()
    answer = world.service.request("POST", path, body, vernemq_hook=hook)
    assert answer.status == status
    assert is_problem(answer.status, answer.headers, answer.body)


def test_hooks_are_posted(world: World) -> None:
    answer = world.service.request("GET", "/hooks/auth/subscriber/n-0")
    assert answer.status == 405
    assert answer.headers["Allow"] == "POST"


def test_a_query_changes_nothing(world: World) -> None:
    body = json.dumps(register_body(world.device(), "phone-1")).encode()
    path = "/hooks/auth/subscriber/n-0?secret=x"
    assert world.service.request("POST", path, body, vernemq_hook="auth_on_register").status == 200


def raw(world: World, *parts: bytes, close: bool = True) -> bytes:
    """Send bytes as they are; return all that comes back."""
    address = urlsplit(world.service.url)
    with socket.create_connection((address.hostname, address.port or 0), 30) as connection:
        for part in parts:
            connection.sendall(part)
        if close:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionResetError:
            pass
        return received


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"hello\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 9000 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 20_000 + b"\r\n\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 1_100_000, b"413"),
        (b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", b"40"),
    ],
)
def test_what_is_no_request(world: World, sent: bytes, status: bytes) -> None:
    answer = raw(world, sent, close=False)
    assert answer.startswith(b"HTTP/1.1 " + status), answer[:200]
    assert b"application/problem+json" in answer


def request_bytes(world: World, client_id: str, *, close: bool = False) -> bytes:
    body = json.dumps(register_body(world.device("phone-1"), client_id)).encode()
    return (
        b"POST /hooks/auth/subscriber/n-0 HTTP/1.1\r\nHost: x\r\nvernemq-hook: auth_on_register\r\n"
        + (b"Connection: close\r\n" if close else b"")
        + b"Content-Length: %d\r\n\r\n" % len(body)
        + body
    )


def test_a_request_may_arrive_byte_by_byte(world: World) -> None:
    sent = request_bytes(world, "phone-1", close=True)
    answer = raw(world, *(sent[at : at + 1] for at in range(len(sent))))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b'"result":"ok"') == 1


def test_pipelined_requests_are_answered_in_order(world: World) -> None:
    clients = ["phone-1", "other", "phone-1", "other"]
    sent = b"".join(request_bytes(world, client) for client in clients)
    slow = (
        b"GET /v1/clients/never-seen HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        + world.backend("system:serviceaccount:shop:support").encode()
        + b"\r\n\r\n"
    )
    last = request_bytes(world, "phone-1", close=True)
    answer = raw(world, sent + slow + sent + last, close=False)
    outcomes = [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]
    results = [b'"result":"ok"' in part for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert outcomes == [b"200"] * 4 + [b"404"] + [b"200"] * 5
    assert results == [True, False, True, False, False, True, False, True, False, True]


def test_a_request_that_is_never_finished_is_given_up(own_world: World) -> None:
    answer = raw(own_world, request_bytes(own_world, "phone-1")[:-5], close=False)
    assert answer.startswith(b"HTTP/1.1 408")


def test_head_has_no_body(world: World) -> None:
    answer = raw(world, b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n")


def test_an_expected_continue_is_said(world: World) -> None:
    head = (
        b"POST /hooks/auth/subscriber/n-0 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
        b"Content-Length: 2\r\nConnection: close\r\n\r\n"
    )
    assert raw(world, head, b"{}").startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 40")


def test_after_all_that_it_is_still_well(world: World) -> None:
    assert world.service.connect(world.device())["result"] == "ok"
    assert world.service.process.poll() is None
    errors = [entry for entry in world.service.logs() if entry["level"] in {"error", "critical"}]
    assert errors == []
    eventually(lambda: world.service.request("GET", "/healthz").status == 200)
