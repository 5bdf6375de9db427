"""What was promised is kept, whatever is killed; and nothing is published twice for that."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gateway.broker import Broker
from tests.integration.gateway.conftest import make_world
from tests.integration.gateway.subscriber import Subscriber
from tests.integration.gateway.world import (
    OTHER,
    Gateway,
    World,
    running_gateway,
    write_config,
)
from tests.integration.webhook.world import Answer, JwksServer, Keys, eventually, free_port

MESSAGES, KILLS = 20_000, 10
WORKERS = 8
BODY: dict[str, Any] = {"topic": "orders/1", "payload": "x"}


def post(world: World, key: str | None = None, caller: str | None = None, **body: Any) -> Answer:
    token = world.token() if caller is None else world.token(caller)
    headers = {} if key is None else {"Idempotency_Key": key}
    return world.gateway.post({**BODY, **body}, token, **headers)


def metric(gateway: Gateway, line: str) -> bool:
    return line in gateway.request("GET", "/metrics").body.decode()


def emptied(world: World) -> bool:
    return metric(world.gateway, "liveconnect_gateway_outbox_messages 0.0")


@pytest.fixture
def lasting(tmp_path: Path) -> Iterator[World]:
    """A broker that keeps sessions and messages on disk."""
    kept = ("user root", "persistence true", f"persistence_location {tmp_path}/")
    with contextlib.contextmanager(make_world)(tmp_path, Broker(tmp_path, *kept)) as world:
        yield world


# --- keys


@pytest.mark.parametrize("qos", [1, 2])
def test_key_makes_a_retry_safe(world: World, subscriber: Subscriber, qos: int) -> None:
    key = f"order-7-{qos}"
    first, again = (post(world, key, qos=qos) for _ in range(2))
    assert (first.status, again.status) == (200, 200), (first, again)
    assert first.json == again.json == {"status": "acknowledged"}
    assert post(world, f"{key}-other", qos=qos, payload="last").status == 200
    assert [subscriber.next().payload for _ in range(2)] == [b"x", b"last"]
    assert subscriber.drain() == []


def test_key_is_for_one_request(world: World, subscriber: Subscriber) -> None:
    assert post(world, "k-one").status == 200
    assert subscriber.next().payload == b"x"
    other = post(world, "k-one", payload="y")
    assert (other.status, other.json["field"]) == (422, "Idempotency-Key")
    assert subscriber.drain() == []
    # Somebody else's keys are somebody else's.
    mine = post(world, "k-one", OTHER, topic="invoices/1")
    assert mine.status == 200
    assert subscriber.next().topic == "invoices/1"


@pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 256])
def test_bad_keys(world: World, subscriber: Subscriber, key: str) -> None:
    answer = post(world, key)
    assert (answer.status, answer.json["field"]) == (422, "Idempotency-Key"), answer
    assert subscriber.drain() == []


def test_no_key_for_qos_0(world: World) -> None:
    answer = post(world, "k-zero", qos=0)
    assert (answer.status, answer.json["field"]) == (422, "Idempotency-Key")


def test_same_key_at_the_same_time(world: World, subscriber: Subscriber) -> None:
    with ThreadPoolExecutor(WORKERS) as pool:
        answers = list(pool.map(lambda _: post(world, "k-race", qos=2), range(4 * WORKERS)))
    # 202: on a busy machine the answer may come before the broker's; it is kept all the same.
    assert {answer.status for answer in answers} <= {200, 202}
    assert subscriber.next().payload == b"x"
    assert post(world, payload="last").status == 200
    assert subscriber.next().payload == b"last"


def test_key_of_a_batch_is_one_for_each_line(world: World, subscriber: Subscriber) -> None:
    def send(lines: list[dict[str, Any]]) -> list[int]:
        body = "\n".join(json.dumps({**BODY, **line}) for line in lines).encode()
        answer = world.gateway.send(
            "/v1/publish/batch",
            body,
            world.token(),
            "application/x-ndjson",
            Idempotency_Key="batch-1",
        )
        return [json.loads(line)["status"] for line in answer.body.splitlines()]

    assert send([{"payload": "0"}, {"payload": "1"}]) == [200, 200]
    assert send([{"payload": "0"}, {"payload": "other"}, {"payload": "2"}]) == [200, 422, 200]
    assert [subscriber.next().payload for _ in range(3)] == [b"0", b"1", b"2"]
    assert subscriber.drain() == []


# --- the broker is away


def test_order_is_kept_across_an_outage(lasting: World) -> None:
    """Per topic: what was stored, what came meanwhile, what comes after."""
    world = lasting
    subscriber = Subscriber(world.broker.port, "listener")
    numbers = iter(range(10_000))
    assert post(world, payload=f"{next(numbers)}").status == 200
    world.broker.stop()
    eventually(lambda: not world.gateway.linked())
    for _ in range(300):
        assert post(world, payload=f"{next(numbers)}").status == 202
    world.broker.start()
    while post(world, payload=f"{next(numbers)}").status != 200:
        pass
    sent = next(numbers)
    got = [int(subscriber.next().payload) for _ in range(sent)]
    assert got == sorted(got)
    assert set(got) == set(range(sent))
    subscriber.stop()


def test_stored_message_expires(own_world: World) -> None:
    world = own_world
    world.broker.stop()
    eventually(lambda: not world.gateway.linked())
    assert post(world, payload="soon", messageExpirySeconds=1).status == 202
    assert post(world, payload="late", messageExpirySeconds=1000).status == 202
    threading.Event().wait(1.1)  # the second that the first message is worth
    world.broker.start()
    subscriber = Subscriber(world.broker.port)
    got = subscriber.next()
    assert got.payload == b"late"
    assert got.properties["MessageExpiryInterval"] < 1000
    eventually(lambda: emptied(world))
    subscriber.stop()


def test_outbox_is_bounded_and_shared(tmp_path: Path) -> None:
    """Half of it is first come, first served; of the rest each caller has its share."""
    bounds = {"max_outbox_messages": 40}
    with contextlib.contextmanager(make_world)(tmp_path, Broker(tmp_path), bounds) as world:
        world.broker.stop()
        eventually(lambda: not world.gateway.linked())
        greedy = [post(world) for _ in range(50)]
        assert [answer.status for answer in greedy[:20]] == [202] * 20
        assert greedy[-1].status in {429, 503}
        assert greedy[-1].headers["Retry-After"]
        assert sum(answer.status == 202 for answer in greedy) == 40
        late = [post(world, None, OTHER, topic="invoices/1") for _ in range(3)]
        assert {answer.status for answer in late} == {503}


def test_fair_share(tmp_path: Path) -> None:
    bounds = {"max_outbox_messages": 40}
    with contextlib.contextmanager(make_world)(tmp_path, Broker(tmp_path), bounds) as world:
        world.broker.stop()
        eventually(lambda: not world.gateway.linked())
        assert post(world, None, OTHER, topic="invoices/1").status == 202
        greedy = [post(world).status for _ in range(50)]
        assert greedy == [202] * 20 + [429] * 30
        polite = [post(world, None, OTHER, topic="invoices/1").status for _ in range(19)]
        assert polite == [202] * 19


# --- kills


def keep_posting(world: World, worker: int, share: int) -> None:
    """Post each message with a key of its own until it is promised."""
    token = world.token()
    pause = threading.Event()
    for number in range(share):
        name = f"{worker}-{number}"
        qos = 1 + number % 2
        body = {"topic": f"orders/{worker}/{qos}", "payload": name, "qos": qos}
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                answer = world.gateway.post(body, token, Idempotency_Key=name)
                if answer.status in {200, 202}:
                    break
                assert answer.status in {429, 503}, answer
            pause.wait(0.01)


def test_kills_lose_and_duplicate_nothing(tmp_path: Path) -> None:
    """SIGKILL at any moment: QoS 1 arrives at least once, QoS 2 exactly once."""
    kept = ("user root", "persistence true", f"persistence_location {tmp_path}/")
    broker, cluster = Broker(tmp_path, *kept), Keys("cluster-1")
    jwks = JwksServer({"/cluster": cluster.document})
    broker.start()
    port = free_port()
    chance = random.Random(7)  # noqa: S311 - moments of kills
    with jwks.running(), contextlib.ExitStack() as stack:
        config = write_config(tmp_path, jwks, broker.port, cluster)
        stack.callback(broker.stop)
        subscriber = Subscriber(broker.port, "listener")
        stack.callback(subscriber.stop)
        gateway = stack.enter_context(running_gateway(tmp_path, config, port=port))
        world = World(tmp_path, cluster, jwks, broker, gateway)
        with ThreadPoolExecutor(WORKERS) as pool:
            share = MESSAGES // WORKERS
            workers = [pool.submit(keep_posting, world, n, share) for n in range(WORKERS)]
            received: Counter[bytes] = Counter()
            for kill in range(KILLS):
                due = (kill + chance.random()) * MESSAGES / (KILLS + 1)
                while received.total() < due:
                    received[subscriber.next(30).payload] += 1
                gateway.process.kill()
                gateway.process.wait()
                gateway = stack.enter_context(running_gateway(tmp_path, config, port=port))
                world.gateway = gateway
            for worker in workers:
                worker.result()
        eventually(lambda: emptied(world), within=30)
        sentinel = world.gateway.post({**BODY, "payload": "last", "qos": 2}, world.token())
        assert sentinel.status == 200
        while b"last" not in received:
            received[subscriber.next().payload] += 1
    names = {f"{w}-{n}".encode() for w in range(WORKERS) for n in range(share)}
    twice = {name for name in names if received[name] > 1}
    exactly = {name for name in names if int(name.split(b"-")[1]) % 2}
    assert names - received.keys() == set()
    assert twice & exactly == set()
    print(f"{len(names)} messages, {KILLS} kills: none lost, {len(twice)} of QoS 1 twice")
    assert len(twice) <= KILLS * WORKERS


def test_restart_publishes_what_was_stored(own_world: World) -> None:
    """The gateway is killed while the broker is away."""
    world = own_world
    world.broker.stop()
    eventually(lambda: not world.gateway.linked())
    for number in range(50):
        assert post(world, f"k-{number}", payload=f"{number}", qos=2).status == 202
    world.gateway.process.kill()
    world.gateway.process.wait()
    world.broker.start()
    subscriber = Subscriber(world.broker.port)
    with running_gateway(world.folder, world.folder / "config.json") as gateway:
        world.gateway = gateway
        assert [int(subscriber.next(10).payload) for _ in range(50)] == list(range(50))
        eventually(lambda: emptied(world))
        assert post(world, "k-7", payload="7", qos=2).json == {"status": "acknowledged"}
        assert subscriber.drain() == []
    subscriber.stop()


def test_two_gateways_never_share_a_file(own_world: World) -> None:
    world = own_world
    with (
        pytest.raises(AssertionError, match="outbox"),
        running_gateway(world.folder, world.folder / "config.json"),
    ):
        pass
    assert post(world).status == 200


# --- messages that cannot be published


def parked(world: World, path: str = "", method: str = "GET", caller: str | None = None) -> Answer:
    token = world.token() if caller is None else world.token(caller)
    return world.gateway.request(method, f"/v1/parked{path}", Authorization=f"Bearer {token}")


def test_poison_is_put_aside_and_keeps_nobody_back(tmp_path: Path) -> None:
    """A broker that came back with another maximum takes one of the stored messages no more."""
    broker = Broker(tmp_path)
    with contextlib.contextmanager(make_world)(tmp_path, broker) as world:
        world.broker.stop()
        eventually(lambda: not world.gateway.linked())
        assert post(world, "k-big", payload="x" * 3000).status == 202
        assert post(world, payload="small").status == 202
        broker.also("max_packet_size 1000")
        world.broker.start()
        subscriber = Subscriber(world.broker.port)
        assert subscriber.next(15).payload == b"small"
        eventually(lambda: metric(world.gateway, "liveconnect_gateway_parked_messages 1.0"))
        assert parked(world, caller=OTHER).json == {"items": []}
        (one,) = parked(world).json["items"]
        assert (one["topic"], one["payloadBytes"]) == ("orders/1", 3000)
        assert "at most 1000 bytes" in one["reason"]
        again = post(world, "k-big", payload="x" * 3000)
        assert (again.status, again.json["sent"]) == (502, False), again
        assert parked(world, f"/{one['id']}", "DELETE", OTHER).status == 404
        assert parked(world, f"/{one['id']}/retry", "POST").status == 202
        eventually(lambda: parked(world).json["items"])
        (other,) = parked(world).json["items"]
        assert parked(world, f"/{other['id']}", "DELETE").status == 204
        assert parked(world).json == {"items": []}
        assert metric(world.gateway, "liveconnect_gateway_parked_messages 0.0")
        subscriber.stop()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "", 405),
        ("GET", "?after=x", 422),
        ("GET", "?before=1", 422),
        ("GET", "/1", 404),
        ("GET", "/x", 404),
        ("DELETE", "/99999999", 404),
    ],
)
def test_bad_requests_for_parked_messages(
    world: World, method: str, path: str, status: int
) -> None:
    assert parked(world, path, method).status == status
    assert world.gateway.request(method, f"/v1/parked{path}").status == 401
