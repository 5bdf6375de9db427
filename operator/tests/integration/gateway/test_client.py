"""The backends' client, of both kinds, and the real gateway."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from e2e.usecases.device import Device, Link
from liveconnect.client import (
    AsyncClient,
    Client,
    ClientAwayError,
    Content,
    Delivery,
    Endpoints,
    ForbiddenError,
    InvalidError,
    LiveConnectError,
    Members,
    Message,
    NoAnswerError,
    NotFoundError,
    Patience,
    ProjectedToken,
    Receipt,
    Request,
    UnauthenticatedError,
)
from tests.integration.gateway.subscriber import Subscriber
from tests.integration.gateway.world import SLOW, World, running_gateway
from tests.integration.webhook.world import BACKEND, eventually
from tests.unit.client.either import BOTH, Either, either

_TOPIC = "orders/42/7/status"


@pytest.fixture
def token(world: World, tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(world.token())
    return path


@pytest.fixture(params=BOTH, ids=lambda kind: kind.__name__)
def liveconnect(request: pytest.FixtureRequest, world: World, token: Path) -> Iterator[Either]:
    endpoints = Endpoints(f"http://127.0.0.1:{world.gateway.port}", world.presence.url)
    patience = Patience(within_seconds=5)
    kind: type[Client | AsyncClient] = request.param
    with either(kind, endpoints, ProjectedToken(token), patience) as made:
        yield made


def refused(liveconnect: Either, message: Message) -> LiveConnectError:
    with pytest.raises(LiveConnectError) as failed:
        liveconnect(lambda c: c.publish(message))
    return failed.value


def test_messages_arrive(liveconnect: Either, subscriber: Subscriber) -> None:
    receipts = [
        liveconnect(lambda c: c.publish(Message(topic=_TOPIC, payload="größe", qos=0))),
        liveconnect(lambda c: c.publish(Message(client_id="phone-1", payload={"a": 1}))),
        liveconnect(lambda c: c.publish(Message(group="g", payload=b"\xff", qos=2))),
    ]
    assert receipts == [Receipt.SENT, Receipt.ACKNOWLEDGED, Receipt.ACKNOWLEDGED]
    got = [subscriber.next() for _ in receipts]
    assert [(m.topic, m.payload, m.qos) for m in got] == [
        (_TOPIC, "größe".encode(), 0),
        ("clients/phone-1/inbox", b'{"a":1}', 1),
        ("groups/g/inbox", b"\xff", 2),
    ]


def test_properties_arrive(liveconnect: Either, subscriber: Subscriber) -> None:
    message = Message(
        topic=_TOPIC,
        payload="x",
        message_expiry_seconds=60,
        content_type="text/x",
        user_properties={"a": "b"},
        response_topic="answers/1",
        correlation_data=b"\x01",
    )
    assert liveconnect(lambda c: c.publish(message)) is Receipt.ACKNOWLEDGED
    found = subscriber.next().properties
    assert (found["ContentType"], found["ResponseTopic"]) == ("text/x", "answers/1")
    assert found["UserProperty"] == [("a", "b")]


def test_the_same_key_publishes_once(liveconnect: Either, subscriber: Subscriber) -> None:
    key = f"order-7-{time.monotonic_ns()}"
    for _ in range(3):
        message = Message(topic=_TOPIC, payload=key)
        assert liveconnect(lambda c, m=message: c.publish(m, key=key)) is Receipt.ACKNOWLEDGED  # type: ignore[misc] # mypy cannot infer a lambda's default
    assert subscriber.next().payload == key.encode()
    assert liveconnect(lambda c: c.publish(Message(topic=_TOPIC, payload="last")))
    assert subscriber.next().payload == b"last"
    error = refused_with_key(liveconnect, key)
    assert isinstance(error, InvalidError)
    assert error.field == "Idempotency-Key"


def refused_with_key(liveconnect: Either, key: str) -> LiveConnectError:
    with pytest.raises(LiveConnectError) as failed:
        liveconnect(lambda c: c.publish(Message(topic=_TOPIC, payload="other"), key=key))
    return failed.value


def test_a_batch(liveconnect: Either, subscriber: Subscriber) -> None:
    messages = [
        Message(topic="orders/1", payload="a"),
        Message(topic="invoices/1", payload="b"),
        Message(topic="orders/#", payload="c"),
        Message(topic="orders/1", payload="d", qos=0),
    ]
    found = liveconnect(lambda c: c.publish_all(messages))
    receipts = [Receipt.ACKNOWLEDGED, None, None, Receipt.SENT]
    assert [outcome.receipt for outcome in found] == receipts
    assert isinstance(found[1].error, ForbiddenError)
    assert isinstance(found[2].error, InvalidError)
    # QoS 0 takes a shorter way.
    assert {subscriber.next().payload for _ in range(2)} == {b"a", b"d"}
    assert subscriber.drain() == []


def test_refusals_name_the_field(liveconnect: Either, subscriber: Subscriber) -> None:
    forbidden = refused(liveconnect, Message(topic="invoices/1", payload="x"))
    wildcard = refused(liveconnect, Message(topic="orders/+", payload="x"))
    long = refused(liveconnect, Message(topic=_TOPIC, payload="x" * 10_000))
    assert isinstance(forbidden, ForbiddenError)
    assert isinstance(wildcard, InvalidError)
    assert isinstance(long, InvalidError)
    assert [forbidden.field, wildcard.field, long.field] == ["topic", "topic", "payload"]
    assert subscriber.drain() == []


def test_online_only_and_presence(liveconnect: Either, world: World) -> None:
    world.presence.states.update({"here": "online", "away": "offline"})
    message = Message(client_id="away", payload="x", delivery=Delivery.ONLINE_ONLY)
    error = refused(liveconnect, message)
    assert isinstance(error, ClientAwayError)
    assert error.presence is not None
    assert error.presence.client_id == "away"
    assert liveconnect(lambda c: c.presence("here")).online
    assert not liveconnect(lambda c: c.presence("away")).online
    with pytest.raises(NotFoundError):
        liveconnect(lambda c: c.presence("nobody"))


def test_a_fan_out_goes_on_where_it_stopped(
    liveconnect: Either, world: World, subscriber: Subscriber
) -> None:
    names = [f"van-{number}" for number in range(5)]
    world.presence.states.update(dict.fromkeys(names, "online"))
    told, after = [], None
    while True:
        report = liveconnect(
            lambda c, after=after: c.fan_out(  # type: ignore[misc] # mypy cannot infer a lambda's default
                Members(prefix="van-"), Content(payload="x"), limit=2, after=after
            )
        )
        told += [outcome.client_id for outcome in report.outcomes if outcome.receipt]
        after = report.next
        if after is None:
            break
    assert told == names
    assert sorted(subscriber.next().topic for _ in names) == [f"clients/{n}/inbox" for n in names]


def test_a_device_answers(liveconnect: Either, world: World) -> None:
    phone = Device("asked-1", lambda: "x", Link("127.0.0.1", world.broker.port))
    phone.listen("clients/asked-1/requests/#", lambda m: phone.answer(m, b"\xffback:" + m.payload))
    phone.start()
    eventually(lambda: phone.listening)
    try:
        status = liveconnect(lambda c: c.request("asked-1", Request(payload="hi")))
        assert status.answer.content == b"\xffback:hi"
        begun = liveconnect(lambda c: c.begin_request("asked-1", Request(payload="ho")))
        settled = liveconnect(lambda c: c.settle(begun.id, within=10))
        assert settled.answer.content == b"\xffback:ho"
        liveconnect(lambda c: c.forget_request(begun.id))
        with pytest.raises(NotFoundError):
            liveconnect(lambda c: c.request_status(begun.id))
    finally:
        phone.stop()


def test_nobody_answers(liveconnect: Either) -> None:
    with pytest.raises(NoAnswerError) as failed:
        liveconnect(lambda c: c.request("nobody", Request(payload="x", timeout_seconds=1)))
    assert failed.value.acknowledged
    assert failed.value.id
    long = Request(payload="x", timeout_seconds=61)
    with pytest.raises(InvalidError) as invalid:
        liveconnect(lambda c: c.request("nobody", long))
    assert invalid.value.field == "timeoutSeconds"


def test_tokens_are_read_anew(liveconnect: Either, world: World, token: Path) -> None:
    token.write_text(world.token(exp=int(time.time()) - 60))
    assert isinstance(
        refused(liveconnect, Message(topic=_TOPIC, payload="x")), UnauthenticatedError
    )
    token.write_text(world.token(BACKEND))
    assert liveconnect(lambda c: c.publish(Message(topic=_TOPIC, payload="x")))


def test_who_has_used_up_its_quota_waits_as_long_as_it_is_told(
    liveconnect: Either, world: World, token: Path
) -> None:
    """Two messages a second: none of six fails, and they take their time."""
    token.write_text(world.token(SLOW))
    began = time.monotonic()
    for _ in range(6):
        message = Message(topic="slow/1", payload="x")
        assert liveconnect(lambda c, m=message: c.publish(m)) is Receipt.ACKNOWLEDGED  # type: ignore[misc] # mypy cannot infer a lambda's default
    assert time.monotonic() - began >= 1


def test_a_gateway_that_is_started_again_is_waited_for(own_world: World, tmp_path: Path) -> None:
    token = tmp_path / "callers-token"
    token.write_text(own_world.token())
    port, config = own_world.gateway.port, own_world.folder / "config.json"
    subscriber = Subscriber(own_world.broker.port)
    own_world.gateway.process.kill()
    own_world.gateway.process.wait(10)
    with (
        Client(Endpoints(f"http://127.0.0.1:{port}"), token=ProjectedToken(token)) as client,
        ThreadPoolExecutor(1) as callers,
    ):
        publishing = callers.submit(client.publish, Message(topic=_TOPIC, payload="x"))
        with running_gateway(own_world.folder, config, port=port):
            assert publishing.result(30) in {Receipt.ACKNOWLEDGED, Receipt.STORED}
            assert subscriber.next(10).payload == b"x"
    subscriber.stop()
