"""Presence, from hook to answer, through a real store."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest

from liveconnect.api.operands import CANARY_MOUNTPOINT
from tests.integration.webhook.world import (
    BACKEND,
    READER,
    World,
    eventually,
    running_service,
)


def state(world: World, client_id: str) -> tuple[str, str] | None:
    answer = world.service.client(client_id, world.backend(READER))
    return (answer.json["state"], answer.json["node"]) if answer.status == 200 else None


def becomes(world: World, client_id: str, wanted: tuple[str, str]) -> None:
    eventually(lambda: state(world, client_id) == wanted)


def test_online_and_offline(world: World) -> None:
    world.service.presence("on_register", "p1", "demo-subscriber-0")
    becomes(world, "p1", ("online", "demo-subscriber-0"))
    world.service.presence("on_client_gone", "p1", "demo-subscriber-0")
    becomes(world, "p1", ("offline", "demo-subscriber-0"))
    view = world.service.client("p1", world.backend(READER)).json
    assert set(view) == {"clientId", "state", "node", "since", "lastSeen", "staleSeconds"}
    assert view["since"].endswith("Z")
    assert view["staleSeconds"] < 5


def test_the_operators_canary_is_no_client(world: World) -> None:
    told = {"mountpoint": CANARY_MOUNTPOINT, "client_id": "demo-subscriber-7"}
    registered = {**told, "peer_addr": "127.0.0.1", "peer_port": 1, "username": "x"}
    for hook, body in (("on_register", registered), ("on_client_gone", told)):
        answer = world.service.hook(hook, body, node="demo-subscriber-7", purpose="presence")
        assert answer.json == {"result": "ok"}
    world.service.presence("on_register", "p-canary", "demo-subscriber-7")
    becomes(world, "p-canary", ("online", "demo-subscriber-7"))
    assert state(world, "demo-subscriber-7") is None


def test_a_take_over_by_another_node_leaves_the_client_online(world: World) -> None:
    world.service.presence("on_register", "p2", "demo-subscriber-0")
    world.service.presence("on_client_wakeup", "p2", "demo-subscriber-1")
    world.service.presence("on_register", "p2", "demo-subscriber-1")
    world.service.presence("on_client_gone", "p2", "demo-subscriber-0")
    world.service.presence("on_register", "p2-after", "demo-subscriber-0")
    becomes(world, "p2-after", ("online", "demo-subscriber-0"))
    assert state(world, "p2") == ("online", "demo-subscriber-1")


@pytest.mark.parametrize("client_id", ["a/b", "ü🙂", "a b%2F?", "..", "x" * 100, "{}", "\n"])
def test_any_client_id_can_be_asked_for(world: World, client_id: str) -> None:
    world.service.presence("on_register", client_id, "demo-subscriber-0")
    becomes(world, client_id, ("online", "demo-subscriber-0"))


def test_who_may_ask(world: World) -> None:
    bare = world.service.request("GET", "/v1/clients/p1")
    assert (bare.status, bare.headers["Content-Type"]) == (401, "application/problem+json")
    assert bare.headers["WWW-Authenticate"].startswith("Bearer")
    assert world.service.client("p1", "nonsense").status == 401
    assert world.service.client("p1", world.backend(READER, exp=1)).status == 401
    assert world.service.client("p1", world.device()).status == 403
    assert world.service.client("p1", world.backend(BACKEND)).status == 403
    assert world.service.client("never-seen", world.backend(READER)).status == 404


@pytest.mark.parametrize("slow", [False, True], ids=["gone", "silent"])
def test_the_store_may_be_away_and_nobody_waits_for_it(own_world: World, slow: bool) -> None:
    world = own_world
    world.service.presence("on_register", "p", "a")
    becomes(world, "p", ("online", "a"))
    (world.redis.pause if slow else world.redis.stop)()
    began = time.monotonic()
    for number in range(50):
        assert world.service.connect(world.device())["result"] == "ok"
        world.service.presence("on_register", f"q{number}", "a")
    world.service.presence("on_client_offline", "p", "a")
    assert time.monotonic() - began < 5
    assert world.service.client("p", world.backend(READER)).status == 503
    assert world.service.request("GET", "/readyz").status == 200
    (world.redis.resume if slow else world.redis.start)()
    becomes(world, "p", ("offline", "a"))
    becomes(world, "q49", ("online", "a"))


def test_two_replicas_write_one_truth(own_world: World) -> None:
    world = own_world
    with running_service(world.folder, world.folder / "config.json") as other:
        for number in range(200):
            world.service.presence("on_register", f"c{number}", "a")
        for number in range(200):
            other.presence("on_register", f"c{number}", "b")
            world.service.presence("on_client_gone", f"c{number}", "a")
        for number in range(200):
            becomes(world, f"c{number}", ("online", "b"))


def test_what_is_queued_is_written_before_the_end(own_world: World) -> None:
    world = own_world
    for number in range(200):
        world.service.presence("on_register", f"c{number}", "a")
    world.service.process.send_signal(signal.SIGTERM)
    assert world.service.process.wait(15) == 0
    with running_service(world.folder, world.folder / "config.json") as again:
        answer: Any = again.client("c199", world.backend(READER))
        assert answer.json["state"] == "online"
