"""Many come at once: the process holds answers back, in order, and refuses nobody who is good."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.integration.webhook.world import (
    JwksServer,
    Keys,
    Redis,
    World,
    running_service,
    write_config,
)

RATE = 20
NOT_ALLOWED = {"result": {"error": "not_allowed"}}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("storm")
    issuer, cluster, redis = Keys("device-1"), Keys("cluster-1"), Redis(folder)
    jwks = JwksServer({"/devices": issuer.document, "/cluster": cluster.document})
    redis.start()
    try:
        with jwks.running():
            connects = {
                "per_second_per_node": RATE,
                "priority_claim": "tier",
                "first": ["gold"],
                "last": ["trial"],
            }
            config = write_config(folder, jwks, redis, cluster, connects=connects)
            with running_service(folder, config) as service:
                yield World(folder, issuer, cluster, jwks, redis, service)
    finally:
        redis.stop()


@dataclass(frozen=True)
class Came:
    """How it went."""

    ok: bool
    seconds: float
    tier: str


def connect(world: World, name: str, tier: str = "none", node: str = "n-0") -> Came:
    token = world.device(name, tier=tier)
    body = {
        "peer_addr": "127.0.0.1", "peer_port": 1, "mountpoint": "", "client_id": name,
        "username": token, "password": None, "clean_session": True,
    }  # fmt: skip
    began = time.monotonic()
    answer = world.service.hook("auth_on_register", body, node=node, purpose="connect")
    return Came(answer.json["result"] == "ok", time.monotonic() - began, tier)


def together(world: World, tiers: list[str], node: str) -> list[Came]:
    with ThreadPoolExecutor(len(tiers)) as pool:
        futures = [
            pool.submit(connect, world, f"{node}-{number}", tier, node)
            for number, tier in enumerate(tiers)
        ]
        return [future.result() for future in futures]


def test_everybody_gets_in_at_the_rate(world: World) -> None:
    began = time.monotonic()
    came = together(world, ["none"] * 50, "paced-0")
    assert all(one.ok for one in came)
    assert time.monotonic() - began >= (50 - RATE / 2) / RATE - 0.5
    assert max(one.seconds for one in came) < 4, "VerneMQ waits 5 s"
    text = world.service.request("GET", "/metrics").body.decode()
    assert 'liveconnect_webhook_connect_held_seconds_count{priority="normal"}' in text


def test_the_important_first(world: World) -> None:
    together(world, ["none"] * 15, "tiers-0")  # the burst is used up
    came = together(world, ["trial"] * 12 + ["gold"] * 12, "tiers-0")
    waited = {
        tier: sorted(one.seconds for one in came if one.tier == tier) for tier in ("gold", "trial")
    }
    assert waited["gold"][6] < waited["trial"][6]


def test_live_sessions_and_other_nodes_do_not_wait(world: World) -> None:
    with ThreadPoolExecutor(1) as pool:
        storm = pool.submit(together, world, ["none"] * 50, "stormy-0")
        token = world.device("calm")
        body = {
            "client_id": "calm", "mountpoint": "", "username": token, "qos": 0,
            "topic": "devices/calm/x", "retain": False, "payload": "",
        }  # fmt: skip
        while not storm.done():
            began = time.monotonic()
            assert world.service.hook("auth_on_publish", body, node="stormy-0").json == {
                "result": "ok"
            }
            assert time.monotonic() - began < 1
        assert connect(world, "other", node="calm-0").seconds < 1


def test_a_bad_client_in_a_loop_is_slowed_down_and_nobody_else(world: World) -> None:
    bad = world.device("looper", exp=int(time.time()) - 100)
    seconds = []
    for _ in range(4):
        began = time.monotonic()
        assert world.service.connect(bad, "looper") == NOT_ALLOWED
        seconds.append(time.monotonic() - began)
    assert max(seconds[:2]) < 0.4
    assert seconds[2] >= 0.5
    assert seconds[3] >= 1
    began = time.monotonic()
    assert world.service.connect(world.device("looper"), "looper")["result"] == "ok"
    assert world.service.connect(None, "neighbour") == NOT_ALLOWED
    assert time.monotonic() - began < 0.5


def test_backends_are_not_paced(world: World) -> None:
    with ThreadPoolExecutor(40) as pool:
        began = time.monotonic()
        answers = list(
            pool.map(
                lambda number: world.service.connect(
                    world.backend(), f"orders-{number}", pool="publisher"
                ),
                range(40),
            )
        )
    assert all(answer["result"] == "ok" for answer in answers)
    assert time.monotonic() - began < 40 / RATE
