"""What callers are told when the publisher pool is away, restarts, or is silent."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gateway.broker import Broker
from tests.integration.gateway.conftest import make_world
from tests.integration.gateway.subscriber import Subscriber
from tests.integration.gateway.world import WINDOW, World, running_gateway, write_config
from tests.integration.webhook.world import JwksServer, Keys, eventually

BODY = {"topic": "orders/1", "payload": "secret-payload"}


def publish(world: World, **changes: Any) -> int:
    return world.gateway.post({**BODY, **changes}, world.token()).status


def metrics(world: World) -> str:
    return world.gateway.request("GET", "/metrics").body.decode()


def test_down_is_stored_and_up_again_is_published(own_world: World) -> None:
    """QoS 0 has no promise to be kept later: 503."""
    world = own_world
    assert publish(world) == 200
    world.broker.stop()
    eventually(lambda: not world.gateway.linked())
    refused = world.gateway.post({**BODY, "qos": 0}, world.token())
    assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json["sent"] is False
    for qos in (1, 2):
        stored = world.gateway.post({**BODY, "qos": qos, "payload": f"{qos}"}, world.token())
        assert (stored.status, stored.json) == (202, {"status": "stored"})
    assert world.gateway.request("GET", "/healthz").status == 200
    assert world.gateway.ready()
    assert "liveconnect_gateway_link_up 0.0" in metrics(world)
    assert "liveconnect_gateway_outbox_messages 2.0" in metrics(world)
    world.broker.start()
    subscriber = Subscriber(world.broker.port)
    eventually(world.gateway.linked)
    assert sorted(subscriber.next().payload for _ in range(2)) == [b"1", b"2"]
    eventually(lambda: "liveconnect_gateway_outbox_messages 0.0" in metrics(world))
    assert publish(world) == 200
    assert subscriber.next().payload == b"secret-payload"
    assert subscriber.drain() == []
    subscriber.stop()
    found = metrics(world)
    assert "liveconnect_gateway_link_up 1.0" in found
    assert 'liveconnect_gateway_publishes_total{outcome="link-down",qos="0"} 1.0' in found
    assert 'liveconnect_gateway_publishes_total{outcome="stored",qos="2"} 1.0' in found


def keep_posting(world: World, worker: int, stop: threading.Event) -> list[bytes]:
    """Post until told to stop; return what was acknowledged."""
    token, acknowledged, number = world.token(), [], 0
    while not stop.is_set():
        payload = f"{worker}-{number}"
        answer = world.gateway.post({"topic": "orders/1", "payload": payload}, token)
        assert answer.status in {200, 202}, answer
        if answer.status in {200, 202}:
            acknowledged.append(payload.encode())
        number += 1
    return acknowledged


def test_restarts_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """The broker keeps its subscribers' messages on disk: what it took must arrive."""
    kept = ("user root", "persistence true", f"persistence_location {tmp_path}/")
    with contextlib.contextmanager(make_world)(tmp_path, Broker(tmp_path, *kept)) as world:
        Subscriber(world.broker.port, "backlog").stop()
        stop = threading.Event()
        with ThreadPoolExecutor(4) as pool:
            workers = [pool.submit(keep_posting, world, n, stop) for n in range(4)]
            try:
                for _ in range(3):
                    eventually(partial(has_published, world, succeeded(world) + 50))
                    world.broker.stop()
                    eventually(lambda: not world.gateway.linked())
                    world.broker.start()
                    eventually(world.gateway.linked)
            finally:
                stop.set()
            acknowledged = {payload for worker in workers for payload in worker.result()}
        subscriber = Subscriber(world.broker.port, "backlog")
        received: set[bytes] = set()

        def complete() -> bool:
            received.update(message.payload for message in subscriber.drain())
            return acknowledged <= received

        eventually(complete)
        subscriber.stop()
        assert len(acknowledged) > 150


def has_published(world: World, messages: float) -> bool:
    return succeeded(world) >= messages


def succeeded(world: World) -> float:
    """Return how many messages of QoS 1 the gateway says were acknowledged."""
    name = 'liveconnect_gateway_publishes_total{outcome="ok",qos="1"} '
    lines = [line for line in metrics(world).splitlines() if line.startswith(name)]
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0


def test_silent_broker_never_means_acknowledged(own_world: World) -> None:
    """QoS 1 is sent again later; QoS 2 could arrive twice then: its caller has to know."""
    token = own_world.token()
    world = own_world
    world.broker.freeze()
    began = time.monotonic()
    with ThreadPoolExecutor(WINDOW) as pool:
        bodies = [{**BODY, "qos": 1 + n % 2} for n in range(WINDOW)]
        waiting = [pool.submit(world.gateway.post, body, token) for body in bodies]
        expected = f"liveconnect_gateway_waiting_messages {float(WINDOW)}"
        eventually(lambda: expected in metrics(world))
        more = world.gateway.post(BODY, token)
        assert (more.status, more.json) == (202, {"status": "stored"})
        answers = [one.result() for one in waiting]
    assert sorted({answer.status for answer in answers}) in ([202, 503, 504], [202, 504])
    assert {answer.json["sent"] for answer in answers if answer.status != 202} == {True}
    assert sum(answer.status == 202 for answer in answers) == WINDOW / 2
    assert 9 < time.monotonic() - began < 15
    world.broker.thaw()
    eventually(world.gateway.linked, within=20)
    eventually(lambda: "liveconnect_gateway_outbox_messages 0.0" in metrics(world), within=20)
    assert publish(world) == 200


@pytest.fixture
def unconnected(tmp_path: Path) -> Iterator[World]:
    """A gateway that starts before its broker."""
    broker, cluster = Broker(tmp_path), Keys("cluster-1")
    jwks = JwksServer({"/cluster": cluster.document})
    with jwks.running():
        config = write_config(tmp_path, jwks, broker.port, cluster)
        with running_gateway(tmp_path, config, wait=False) as gateway:
            yield World(tmp_path, cluster, jwks, broker, gateway)
    broker.stop()


def test_starts_before_its_broker_and_keys(unconnected: World) -> None:
    world = unconnected
    world.jwks.failing = True

    def alive() -> bool:
        try:
            return world.gateway.request("GET", "/healthz").status == 200
        except OSError:
            return False

    eventually(alive)
    assert world.gateway.request("GET", "/readyz").status == 503
    assert publish(world) in {401, 503}
    world.jwks.failing = False
    world.broker.start()
    eventually(world.gateway.ready, within=20)
    assert publish(world) == 200


def test_node_that_refuses_is_passed_over(tmp_path: Path) -> None:
    """Two addresses, ::1 and 127.0.0.1; the broker listens at the second one only."""
    broker, cluster = Broker(tmp_path), Keys("cluster-1")
    jwks = JwksServer({"/cluster": cluster.document})
    broker.start()
    with jwks.running(), contextlib.ExitStack() as stack:
        stack.callback(broker.stop)
        bounds = {"broker_nodes": "localhost", "broker_host": "no.such.host.invalid", "replicas": 2}
        config = write_config(tmp_path, jwks, broker.port, cluster, bounds=bounds)
        running = running_gateway(tmp_path, config, pod="demo-gateway-1")
        world = World(tmp_path, cluster, jwks, broker, stack.enter_context(running))
        assert publish(world) == 200


def test_new_token_is_used_before_the_old_one_expires(own_world: World) -> None:
    """The session is replaced without a refusal in between."""
    world = own_world
    now = int(time.time())
    world.own_token(iat=now - 74, exp=now + 26)
    world.broker.stop()  # makes the gateway read the token that is soon to be renewed
    eventually(lambda: not world.gateway.linked())
    world.broker.start()
    eventually(world.gateway.linked)
    world.own_token()
    statuses: list[int] = []

    def replaced() -> bool:
        statuses.append(publish(world, qos=len(statuses) % 3))
        return any("session replaced" in line["message"] for line in world.gateway.logs())

    eventually(replaced, within=20)
    statuses += [publish(world) for _ in range(5)]
    assert set(statuses) <= {200, 202}
    log = world.broker.log.read_text()
    names = {word for word in log.split() if word.startswith("demo-gateway-5d4f-x2x-")}
    assert len({name.rsplit("-", 1)[1] for name in names}) >= 3
    eventually(
        lambda: (
            "received DISCONNECT" in world.broker.log.read_text()
            or "Received DISCONNECT" in world.broker.log.read_text()
        )
    )


def test_outbox_takes_a_new_token_and_keeps_its_promises(own_world: World) -> None:
    """It has one client id, and so no second connection meanwhile: messages wait for a moment."""
    world, token = own_world, own_world.token()
    now = int(time.time())
    world.own_token(iat=now - 74, exp=now + 26)
    world.broker.stop()
    eventually(lambda: not world.gateway.linked())

    def connects() -> int:
        return sum(line["message"] == "outbox connected" for line in world.gateway.logs())

    before = connects()
    world.broker.start()
    eventually(lambda: connects() == before + 1)
    world.own_token()
    subscriber, sent = Subscriber(world.broker.port), list[str]()

    def replaced() -> bool:
        sent.append(f"key-{len(sent)}")
        body = {**BODY, "payload": sent[-1], "qos": 2}
        assert world.gateway.post(body, token, Idempotency_Key=sent[-1]).status in {200, 202}
        return connects() == before + 2

    eventually(replaced, within=20)
    replaced()
    assert [subscriber.next().payload.decode() for _ in sent] == sent
    assert subscriber.drain() == []
    subscriber.stop()


def test_drain_finishes_what_is_under_way(own_world: World) -> None:
    world = own_world
    token = world.token()
    world.broker.freeze()
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(world.gateway.post, BODY, token) for _ in range(4)]
        eventually(lambda: "liveconnect_gateway_waiting_messages 4.0" in metrics(world))
        world.gateway.process.send_signal(signal.SIGTERM)
        eventually(lambda: any("draining" in line["message"] for line in world.gateway.logs()))
        world.broker.thaw()
        answers = [one.result() for one in waiting]
    assert [answer.status for answer in answers] == [200] * 4
    assert {answer.headers.get("Connection") for answer in answers} == {"close"}
    assert world.gateway.process.wait(10) == 0
    assert "DISCONNECT" in world.broker.log.read_text()


def test_no_token_and_no_payload_is_ever_logged(own_world: World) -> None:
    world = own_world
    token = world.token()
    world.gateway.post(BODY, token)
    world.gateway.post({**BODY, "topic": "invoices/1"}, token)
    world.gateway.post({**BODY, "qos": "secret-payload"}, token)
    world.gateway.post(b'{"topic":"orders/1","payload":"secret-payload', token)
    world.gateway.post(BODY, token[:-4] + "AAAA")
    world.broker.stop()
    eventually(lambda: not world.gateway.linked())
    world.gateway.post(BODY, token)
    log = world.gateway.log.read_text()
    own = (world.folder / "token").read_text()
    for secret in (token, own, "secret-payload", token.split(".")[2], own.split(".")[2], "eyJ"):
        assert secret not in log
    assert len(world.gateway.logs()) > 3
