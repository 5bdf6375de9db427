"""Requests and answers outlive the gateway's process; answers are kept while it is away."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from tests.integration.gateway.device import Device, be_silent, echo
from tests.integration.gateway.test_requests import LATER, PHONE, ask, status
from tests.integration.gateway.world import World, running_gateway
from tests.integration.webhook.world import eventually


def kill(world: World) -> None:
    world.gateway.process.kill()
    world.gateway.process.wait()


@contextlib.contextmanager
def again(world: World) -> Iterator[None]:
    with running_gateway(world.folder, world.folder / "config.json") as gateway:
        world.gateway = gateway
        yield


def test_answer_that_comes_while_the_gateway_is_away(own_world: World) -> None:
    world = own_world
    eventually(world.gateway.hearing)
    device = Device(world.broker.port, PHONE, be_silent)
    urls = [ask(world, Prefer=LATER).headers["Location"] for _ in range(2)]
    kill(world)
    device.answer(device.requests.get(timeout=5), b"meanwhile")
    with again(world):
        eventually(lambda: status(world, urls[0]).json["status"] == "answered")
        assert status(world, urls[0]).json["answer"] == {"payload": "meanwhile"}
        assert status(world, urls[1]).json["status"] == "pending"
        device.answer(device.requests.get(timeout=5), b"afterwards")
        eventually(lambda: status(world, urls[1]).json["status"] == "answered")
        kill(world)
    with again(world):
        assert [status(world, url).json["status"] for url in urls] == ["answered"] * 2
        assert status(world, urls[0], "DELETE").status == 204
        eventually(world.gateway.hearing)
        kill(world)
    with again(world):
        assert status(world, urls[0]).status == 404
    device.stop()


def test_same_key_after_a_kill_has_the_same_answer(own_world: World) -> None:
    world = own_world
    eventually(world.gateway.hearing)
    device = Device(world.broker.port, PHONE, echo)
    first = ask(world, Idempotency_Key="k")
    assert first.status == 200, first
    kill(world)
    with again(world):
        second = ask(world, Idempotency_Key="k")
        assert (second.status, second.body) == (200, first.body)
    assert device.requests.qsize() == 1
    device.stop()


def test_only_what_somebody_may_come_back_for_is_written_and_bad_rows_go(own_world: World) -> None:
    world = own_world
    eventually(world.gateway.hearing)
    device = Device(world.broker.port, PHONE, echo)
    assert ask(world).status == 200
    kill(world)
    file = world.folder / "outbox.db"
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        assert connection.execute("SELECT count(*) FROM requests").fetchone() == (0,)
        connection.execute("INSERT INTO requests VALUES ('x', '', '', 'a', 'b', 'c', 'd', x'c1')")
        connection.execute(
            "INSERT INTO requests VALUES (CAST(x'ff' AS TEXT), '', '', 1, 1, 1, 1, NULL)"
        )
    with again(world):
        eventually(world.gateway.hearing)
        assert ask(world).status == 200
        assert any("are forgotten" in line["message"] for line in world.gateway.logs())
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM requests").fetchone() == (0,)
    device.stop()
