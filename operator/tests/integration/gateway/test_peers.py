"""Two pods: a retry is one wherever it arrives."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.gateway.broker import Broker
from tests.integration.gateway.subscriber import Subscriber
from tests.integration.gateway.world import SLOW, World, running_gateway, write_config
from tests.integration.webhook.world import Answer, JwksServer, Keys, eventually

KEYS = [f"key-{number}" for number in range(12)]


def two_ports() -> int:
    """Return a number; with 0 and 1 behind it two free ports."""
    for tens in range(2100, 3200):
        with contextlib.suppress(OSError), socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 10 * tens))
            second.bind(("127.0.0.1", 10 * tens + 1))
            return tens
    raise AssertionError("no two ports are free")


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[list[World]]:
    """Two gateways that know of each other, and their broker."""
    broker, cluster, tens = Broker(tmp_path), Keys("cluster-1"), two_ports()
    jwks = JwksServer({"/cluster": cluster.document})
    broker.start()
    with jwks.running(), contextlib.ExitStack() as stack:
        stack.callback(broker.stop)
        worlds = []
        for ordinal in range(2):
            folder = tmp_path / f"pod-{ordinal}"
            folder.mkdir()
            bounds = {"replicas": 2, "peers": f"http://127.0.0.1:{tens}{{ordinal}}"}
            config = write_config(folder, jwks, broker.port, cluster, bounds=bounds)
            name, port = f"demo-gateway-{ordinal}", 10 * tens + ordinal
            running = running_gateway(folder, config, port=port, pod=name)
            gateway = stack.enter_context(running)
            worlds.append(World(folder, cluster, jwks, broker, gateway))
        yield worlds


def post(world: World, key: str) -> Answer:
    body = {"topic": "orders/1", "payload": key, "qos": 2}
    return world.gateway.post(body, world.token(), Idempotency_Key=key)


def test_retry_that_reaches_another_pod(pods: list[World]) -> None:
    subscriber = Subscriber(pods[0].broker.port)
    for key in KEYS:
        assert [post(pod, key).status for pod in (pods[0], pods[1], pods[0])] == [200] * 3
    assert sorted(subscriber.next().payload.decode() for _ in KEYS) == sorted(KEYS)
    assert subscriber.drain() == []
    other = {"topic": "orders/1", "payload": "other"}
    for pod in pods:
        answer = pod.gateway.post(other, pod.token(), Idempotency_Key=KEYS[0])
        assert (answer.status, answer.json["field"]) == (422, "Idempotency-Key")
        denied = pod.gateway.post(other, "nonsense", Idempotency_Key=KEYS[0])
        assert denied.status == 401
    subscriber.stop()


def test_batches_go_there_too(pods: list[World]) -> None:
    subscriber = Subscriber(pods[0].broker.port)
    lines = [json.dumps({"topic": "orders/1", "payload": f"{n}"}) for n in range(10)]
    for pod in pods:
        answer = pod.gateway.send(
            "/v1/publish/batch",
            "\n".join(lines).encode(),
            pod.token(),
            "application/x-ndjson",
            Idempotency_Key="batch",
        )
        assert [json.loads(line)["status"] for line in answer.body.splitlines()] == [200] * 10
    assert [subscriber.next().payload for _ in range(10)] == [b"%d" % n for n in range(10)]
    assert subscriber.drain() == []
    subscriber.stop()


def test_pod_that_is_away_is_waited_for(pods: list[World]) -> None:
    """Rather no answer than a second message."""
    here, away = pods
    away.gateway.process.kill()
    away.gateway.process.wait()
    answers = {key: post(here, key) for key in KEYS}
    assert {answer.status for answer in answers.values()} == {200, 503}
    (example, *_) = [answer for answer in answers.values() if answer.status == 503]
    assert (example.headers["Retry-After"], example.json["sent"]) == ("2", False)


def wait_told(pod: World) -> int:
    """Return what a caller is told that has to make up for a large batch (seconds)."""
    answer = pod.gateway.post({"topic": "slow/1", "payload": "x"}, pod.token(SLOW))
    assert answer.status == 429, answer
    assert "share" in answer.json["detail"]
    return int(answer.headers["Retry-After"])


def test_pods_share_a_quota_and_one_that_goes_leaves_it_to_the_other(pods: list[World]) -> None:
    """Two messages a second; a pod that does not answer is as good as gone, until it does."""
    here, other = pods
    eventually(lambda: [pod.gateway.ready_pods() for pod in pods] == [2, 2], within=20)
    lines = b'{"topic":"slow/1","payload":""}\n' * 200
    here.gateway.send("/v1/publish/batch", lines, here.token(SLOW), "application/x-ndjson")
    assert 150 <= wait_told(here) <= 200, "one message a second"
    with other.gateway.silent():
        eventually(lambda: here.gateway.ready_pods() == 1, within=20)
        alone = wait_told(here)
        assert alone <= 100, "two messages a second"
    eventually(lambda: here.gateway.ready_pods() == 2, within=20)
    assert wait_told(here) > alone
    other.gateway.process.send_signal(signal.SIGTERM)
    eventually(lambda: here.gateway.ready_pods() == 1, within=20)
