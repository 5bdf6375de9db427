"""Both clients against a server that answers what it was told to."""

from __future__ import annotations

import inspect
import json
import logging
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import trustme

from liveconnect.client import (
    AsyncClient,
    Client,
    ClientAwayError,
    Content,
    Endpoints,
    ForbiddenError,
    InvalidError,
    LiveConnectError,
    Members,
    Message,
    NoAnswerError,
    NotFoundError,
    Patience,
    PresenceState,
    ProblemError,
    ProjectedToken,
    Receipt,
    RefusedError,
    Request,
    RequestState,
    ThrottledError,
    TokenError,
    UnauthenticatedError,
    UnavailableError,
    UnreachableError,
    UnreadableAnswerError,
)
from tests.unit.client.either import Either, either
from tests.unit.client.server import Scripted, Server

ACKNOWLEDGED = Scripted(200, {"status": "acknowledged"})
ORDER = Message(topic="orders/1", payload="x")
ONCE = Patience(tries=1)
QOS_0 = Message(topic="orders/1", payload="x", qos=0)
PENDING = {"id": "0-a", "clientId": "phone-1", "status": "pending", "acknowledged": True}
ANSWERED = {**PENDING, "status": "answered", "answer": {"payload": '{"ok":true}'}}


def problem(status: int, retry_after: int | None = None, **extra: Any) -> Scripted:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Scripted(status, {"title": "Wrong", "status": status, "detail": "x", **extra}, headers)


def keys(server: Server) -> list[str | None]:
    return [asked.headers.get("idempotency-key") for asked in server.asked]


def test_a_message_is_posted_once_with_token_and_key(liveconnect: Either, server: Server) -> None:
    server.answers(ACKNOWLEDGED)
    assert liveconnect(lambda c: c.publish(ORDER)) is Receipt.ACKNOWLEDGED
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/v1/publish")
    assert asked.headers["authorization"] == "Bearer first-token"
    assert asked.headers["content-type"] == "application/json"
    assert asked.json == {"topic": "orders/1", "payload": "x", "qos": 1}


def test_every_call_has_a_key_of_its_own_but_for_qos_0(liveconnect: Either, server: Server) -> None:
    server.answers(ACKNOWLEDGED)
    liveconnect(lambda c: c.publish(ORDER))
    liveconnect(lambda c: c.publish(ORDER))
    liveconnect(lambda c: c.publish(QOS_0))
    liveconnect(lambda c: c.publish(ORDER, key="mine"))
    first, second, none, mine = keys(server)
    assert first
    assert second
    assert first != second
    assert (none, mine) == (None, "mine")


@pytest.mark.parametrize(
    "failure",
    [
        Scripted(breaks=True),
        problem(503, 0, sent=False),
        problem(429, 0),
        problem(504, 0, sent=True),
    ],
    ids=["broken", "503", "429", "504"],
)
def test_what_failed_for_now_is_repeated_with_the_same_key(
    liveconnect: Either, server: Server, failure: Scripted
) -> None:
    server.answers(failure, failure, ACKNOWLEDGED)
    assert liveconnect(lambda c: c.publish(ORDER)) is Receipt.ACKNOWLEDGED
    assert len(server.asked) == 3
    assert len(set(keys(server))) == 1
    assert len({asked.body for asked in server.asked}) == 1


def test_it_is_not_repeated_for_ever(liveconnect: Either, server: Server) -> None:
    server.answers(problem(503, sent=False))
    with pytest.raises(UnavailableError):
        liveconnect(lambda c: c.publish(ORDER))
    assert len(server.asked) == 4


def test_retry_after_is_waited_for(liveconnect: Either, server: Server) -> None:
    server.answers(problem(429, 1), ACKNOWLEDGED)
    began = time.monotonic()
    assert liveconnect(lambda c: c.publish(ORDER)) is Receipt.ACKNOWLEDGED
    assert time.monotonic() - began >= 1


def test_who_is_told_to_come_much_later_is_told_at_once(
    liveconnect: Either, server: Server
) -> None:
    server.answers(problem(429, 60))
    with pytest.raises(ThrottledError) as failed:
        liveconnect(lambda c: c.publish(ORDER))
    assert len(server.asked) == 1
    assert failed.value.retry_after == 60


@pytest.mark.parametrize("failure", [Scripted(breaks=True), problem(503, 0, sent=True)])
def test_qos_0_that_may_have_been_sent_is_not_repeated(
    liveconnect: Either, server: Server, failure: Scripted
) -> None:
    server.answers(failure, ACKNOWLEDGED)
    with pytest.raises((UnreachableError, UnavailableError)) as failed:
        liveconnect(lambda c: c.publish(QOS_0))
    assert failed.value.sent is not False
    assert len(server.asked) == 1


def test_qos_0_that_cannot_have_been_sent_is_repeated(liveconnect: Either, server: Server) -> None:
    server.answers(problem(503, 0, sent=False), Scripted(202, {"status": "sent"}))
    assert liveconnect(lambda c: c.publish(QOS_0)) is Receipt.SENT


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, InvalidError),
        (401, UnauthenticatedError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, ClientAwayError),
        (413, InvalidError),
        (415, InvalidError),
        (422, InvalidError),
        (500, ProblemError),
        (502, RefusedError),
        (504, NoAnswerError),
    ],
)
def test_errors_are_types_and_final(
    liveconnect: Either, server: Server, status: int, expected: type[ProblemError]
) -> None:
    server.answers(problem(status, field="topic"))
    with pytest.raises(ProblemError) as failed:
        liveconnect(lambda c: c.publish(ORDER))
    assert type(failed.value) is expected
    assert (failed.value.status, failed.value.field) == (status, "topic")
    assert str(failed.value) == f"{status} Wrong (topic): x"
    assert len(server.asked) == 1


def test_a_proxys_error_page_is_an_error_too(liveconnect: Either, server: Server) -> None:
    server.answers(Scripted(502, b"<html>\xff"))
    with pytest.raises(RefusedError, match="proxy"):
        liveconnect(lambda c: c.publish(ORDER))


@pytest.mark.parametrize("body", [b"<html>", b"\xff", b'{"status":"eaten"}', b"{}"])
def test_an_answer_of_somebody_else_is_an_error(
    liveconnect: Either, server: Server, body: bytes
) -> None:
    server.answers(Scripted(200, body))
    with pytest.raises(UnreadableAnswerError, match="/v1/publish"):
        liveconnect(lambda c: c.publish(ORDER))


# --- tokens


def test_a_rotated_token_is_sent_with_the_next_call(
    liveconnect: Either, server: Server, token: Path
) -> None:
    server.answers(ACKNOWLEDGED)
    liveconnect(lambda c: c.publish(ORDER))
    token.write_text("second-token")
    liveconnect(lambda c: c.publish(ORDER))
    sent = [asked.headers["authorization"] for asked in server.asked]
    assert sent == ["Bearer first-token", "Bearer second-token"]


def test_a_token_that_is_rotated_under_way_is_tried_again(
    kind: type[Client | AsyncClient], server: Server, token: Path
) -> None:
    """It expired between its reading and its checking."""

    class Rotating(ProjectedToken):
        def _read(self) -> str:
            read = super()._read()
            token.write_text("second-token")
            return read

    server.answers(problem(401), ACKNOWLEDGED)
    with either(kind, Endpoints(server.url), Rotating(token)) as made:
        assert made(lambda c: c.publish(ORDER)) is Receipt.ACKNOWLEDGED
    assert len(set(keys(server))) == 1
    assert [a.headers["authorization"][-12:] for a in server.asked] == [
        " first-token", "second-token",
    ]  # fmt: skip


@pytest.mark.parametrize("content", [None, "", "\n", "tökén"])
def test_without_a_token_nothing_is_sent(
    liveconnect: Either, server: Server, token: Path, content: str | None
) -> None:
    token.unlink()
    if content is not None:
        token.write_text(content)
    with pytest.raises(TokenError, match="audience liveconnect") as failed:
        liveconnect(lambda c: c.publish(ORDER))
    assert str(token) in str(failed.value)
    assert failed.value.sent is False
    assert server.asked == []


def test_tokens_are_not_logged(
    liveconnect: Either, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answers(problem(401))
    with pytest.raises(UnauthenticatedError) as failed:
        liveconnect(lambda c: c.publish(ORDER))
    seen = caplog.text + repr(failed.value) + repr(liveconnect.client.__dict__)
    assert "first-token" not in seen


def test_proxies_of_the_environment_get_no_token(
    kind: type[Client | AsyncClient],
    server: Server,
    token: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.answers(ACKNOWLEDGED)
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("ALL_PROXY", server.url)
    with (
        either(kind, Endpoints("http://127.0.0.1:1"), ProjectedToken(token), ONCE) as made,
        pytest.raises(UnreachableError) as failed,
    ):
        made(lambda c: c.publish(ORDER))
    assert failed.value.sent is False
    assert server.asked == []


# --- TLS


@pytest.mark.parametrize("trusted", [True, False])
def test_certificates_are_checked_and_shown(
    kind: type[Client | AsyncClient], token: Path, *, trusted: bool
) -> None:
    """The server wants a certificate, too."""
    authority, other = trustme.CA(), trustme.CA()
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    authority.configure_trust(serving)
    serving.verify_mode = ssl.CERT_REQUIRED
    mine = ssl.create_default_context()
    (authority if trusted else other).configure_trust(mine)
    authority.issue_cert("orders.shop.svc").configure_cert(mine)
    with (
        Server([ACKNOWLEDGED]).running(serving) as server,
        either(kind, Endpoints(server.url), ProjectedToken(token), ONCE, mine) as made,
    ):
        if trusted:
            assert made(lambda c: c.publish(ORDER)) is Receipt.ACKNOWLEDGED
            return
        with pytest.raises(UnreachableError, match="certificate") as failed:
            made(lambda c: c.publish(ORDER))
        assert failed.value.sent is False
        assert server.asked == []


# --- batches


def test_a_batch_has_an_outcome_for_each_message(liveconnect: Either, server: Server) -> None:
    lines: list[dict[str, Any]] = [
        {"index": 0, "status": 200, "result": "acknowledged"},
        {"index": 1, "status": 403, "title": "Forbidden", "detail": "no", "field": "topic"},
        {"index": 2, "status": 202, "result": "stored"},
    ]
    server.answers(Scripted(200, b"".join(json.dumps(line).encode() + b"\n" for line in lines)))
    first, second, third = liveconnect(lambda c: c.publish_all([ORDER, ORDER, ORDER]))
    assert (first.receipt, third.receipt) == (Receipt.ACKNOWLEDGED, Receipt.STORED)
    assert isinstance(second.error, ForbiddenError)
    assert second.error.field == "topic"
    (asked,) = server.asked
    assert asked.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["topic"] for line in asked.body.splitlines()] == ["orders/1"] * 3


@pytest.mark.parametrize("body", [b"", b'{"index":1,"status":200,"result":"stored"}\n', b"<html>"])
def test_a_batch_without_its_outcomes_is_an_error(
    liveconnect: Either, server: Server, body: bytes
) -> None:
    server.answers(Scripted(200, body))
    with pytest.raises(UnreadableAnswerError):
        liveconnect(lambda c: c.publish_all([ORDER]))


def test_a_batch_with_qos_0_is_not_repeated(liveconnect: Either, server: Server) -> None:
    server.answers(Scripted(breaks=True))
    with pytest.raises(UnreachableError):
        liveconnect(lambda c: c.publish_all([ORDER, QOS_0]))
    assert len(server.asked) == 1


# --- fan-out

REPORT: list[dict[str, Any]] = [
    {"clientId": "a", "presence": "online", "status": 200, "result": "acknowledged"},
    {"clientId": "b", "presence": "offline", "status": 409, "title": "Conflict", "detail": "away"},
    {"next": "b"},
    {"members": 2, "online": 1, "published": 1, "next": "b"},
]


def ndjson(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def test_a_fan_out_reports_each_member(liveconnect: Either, server: Server) -> None:
    server.answers(Scripted(200, ndjson(*REPORT)))
    report = liveconnect(
        lambda c: c.fan_out(Members(prefix="truck-"), Content(payload="x"), limit=2, after="0")
    )
    first, second = report.outcomes
    assert (first.client_id, first.receipt) == ("a", Receipt.ACKNOWLEDGED)
    assert isinstance(second.error, ClientAwayError)
    assert second.presence is PresenceState.OFFLINE
    assert (report.online, report.published, report.next) == (1, 1, "b")
    assert server.asked[0].json == {
        "members": {"prefix": "truck-"},
        "message": {"payload": "x", "qos": 1},
        "limit": 2,
        "after": "0",
    }


@pytest.mark.parametrize("cut", [b"", ndjson(*REPORT[:3]), ndjson(*REPORT)[:-9]])
def test_a_fan_out_that_was_cut_is_repeated_with_its_key(
    liveconnect: Either, server: Server, cut: bytes
) -> None:
    server.answers(Scripted(200, cut), Scripted(200, ndjson(*REPORT)))
    report = liveconnect(lambda c: c.fan_out(Members(group="g"), Content(payload="x")))
    assert report.published == 1
    assert len(set(keys(server))) == 1
    assert len(server.asked) == 2


# --- requests


def test_a_request_returns_the_answer(liveconnect: Either, server: Server) -> None:
    server.answers(Scripted(200, ANSWERED))
    status = liveconnect(
        lambda c: c.request("phone/1", Request(payload={"log": 1}, timeout_seconds=5))
    )
    assert status.status is RequestState.ANSWERED
    assert status.answer.json() == {"ok": True}
    (asked,) = server.asked
    assert asked.path == "/v1/clients/phone%2F1/requests"
    assert asked.json == {"payload": {"log": 1}, "qos": 1, "timeoutSeconds": 5}
    assert "prefer" not in asked.headers


def test_no_answer_in_time_says_what_is_known(liveconnect: Either, server: Server) -> None:
    presence = {"clientId": "phone-1", "state": "offline", "lastSeen": "2026-01-01T00:00:00Z"}
    server.answers(problem(504, id="0-a", sent=True, acknowledged=True, presence=presence))
    with pytest.raises(NoAnswerError) as failed:
        liveconnect(lambda c: c.request("phone-1", Request(payload="x")))
    error = failed.value
    assert (error.id, error.sent, error.acknowledged) == ("0-a", True, True)
    assert error.presence is not None
    assert not error.presence.online
    assert len(server.asked) == 1


def test_a_long_request_is_looked_up_until_it_is_answered(
    liveconnect: Either, server: Server
) -> None:
    server.answers(
        Scripted(202, PENDING, {"Location": "/v1/requests/0-a", "Retry-After": "1"}),
        Scripted(200, PENDING),
        Scripted(200, ANSWERED),
    )
    begun = liveconnect(lambda c: c.begin_request("phone-1", Request(payload="x"), wait=2))
    assert begun.status is RequestState.PENDING
    settled = liveconnect(lambda c: c.settle(begun.id, within=10))
    assert settled.status is RequestState.ANSWERED
    assert server.asked[0].headers["prefer"] == "respond-async, wait=2"
    assert [asked.path for asked in server.asked[1:]] == ["/v1/requests/0-a"] * 2


def test_who_waits_long_enough_gets_what_is_known(liveconnect: Either, server: Server) -> None:
    server.answers(Scripted(200, PENDING))
    settled = liveconnect(lambda c: c.settle("0-a", within=0.5))
    assert settled.status is RequestState.PENDING


def test_a_request_is_forgotten(liveconnect: Either, server: Server) -> None:
    server.answers(Scripted(204))
    assert liveconnect(lambda c: c.forget_request("0-a/b")) is None
    assert (server.asked[0].method, server.asked[0].path) == ("DELETE", "/v1/requests/0-a%2Fb")


# --- presence


def test_presence_of_one_and_many(liveconnect: Either, server: Server) -> None:
    record = {"clientId": "a/b", "state": "online", "node": "n", "since": "s", "staleSeconds": 0.5}
    server.answers(Scripted(200, record), Scripted(200, {"items": [record], "missing": ["c"]}))
    one = liveconnect(lambda c: c.presence("a/b"))
    assert one.online
    assert one.stale_seconds == 0.5
    assert liveconnect(lambda c: c.presences(["a/b", "c"])) == {"a/b": one}
    assert [asked.path for asked in server.asked] == ["/v1/clients/a%2Fb", "/v1/lookups"]
    assert server.asked[1].json == {"clientIds": ["a/b", "c"]}


def test_presence_needs_an_address(
    kind: type[Client | AsyncClient], server: Server, token: Path
) -> None:
    with (
        either(kind, Endpoints(server.url), ProjectedToken(token)) as made,
        pytest.raises(ValueError, match=r"endpoints\.presence"),
    ):
        made(lambda c: c.presence("a"))


# --- both


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type[Any]) -> dict[str, str]:
        return {
            name: str(inspect.signature(method))
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert methods(Client) == methods(AsyncClient)


def test_both_are_contexts(server: Server, token: Path) -> None:
    server.answers(ACKNOWLEDGED)
    with Client(Endpoints(server.url), token=ProjectedToken(token)) as client:
        assert client.publish(ORDER) is Receipt.ACKNOWLEDGED
    with pytest.raises(RuntimeError, match="closed"):
        client.publish(ORDER)


async def test_both_are_contexts_awaited(server: Server, token: Path) -> None:
    server.answers(ACKNOWLEDGED)
    async with AsyncClient(Endpoints(server.url), token=ProjectedToken(token)) as client:
        assert await client.publish(ORDER) is Receipt.ACKNOWLEDGED
    with pytest.raises(RuntimeError, match="closed"):
        await client.publish(ORDER)


def test_services_of_a_cluster_object() -> None:
    found = Endpoints.of("quickstart", "default")
    assert found.gateway == "http://quickstart-gateway.default.svc:8080"
    assert found.presence == "http://quickstart-auth.default.svc:8080"
    secured = Endpoints.of("quickstart", "default", tls=True)
    assert secured.gateway == "https://quickstart-gateway.default.svc:8443"
    assert secured.presence == found.presence
    secured = Endpoints.of("quickstart", "default", auth_tls=True)
    assert secured.gateway == found.gateway
    assert secured.presence == "https://quickstart-auth.default.svc:8443"


def test_all_errors_have_one_base() -> None:
    for kind in (TokenError, UnreachableError, UnreadableAnswerError, ProblemError):
        assert issubclass(kind, LiveConnectError)
