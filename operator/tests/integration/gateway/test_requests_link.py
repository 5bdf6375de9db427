"""Requests while connections break, are replaced, and pods share the work."""

from __future__ import annotations

import threading
import time
from typing import Any

from tests.integration.gateway.device import Device, be_silent, echo
from tests.integration.gateway.test_peers import pods
from tests.integration.gateway.test_requests import LATER, PHONE, ask, status
from tests.integration.gateway.world import World
from tests.integration.webhook.world import eventually

__all__ = ["pods"]


def test_nothing_is_asked_when_answers_cannot_be_received(own_world: World) -> None:
    world = own_world
    eventually(world.gateway.hearing)
    world.broker.stop()
    eventually(lambda: not world.gateway.hearing())
    for headers in ({}, {"Idempotency_Key": "k"}):
        answer = ask(world, **headers)
        assert (answer.status, answer.json["sent"]) == (503, False), answer
        assert answer.headers["Retry-After"] == "1"
    world.broker.start()
    eventually(world.gateway.hearing)
    device = Device(world.broker.port, PHONE, echo)
    assert ask(world).status == 200
    assert device.requests.qsize() == 1
    device.stop()


def test_no_answer_is_lost_when_the_connection_is_replaced(own_world: World) -> None:
    """The token is renewed while a device is asked all the time; every answer arrives."""
    world = own_world
    eventually(world.gateway.hearing)
    ended = threading.Event()
    answers: list[int] = []

    def keep_asking() -> None:
        while not ended.is_set():
            answers.append(ask(world, {"payload": "?", "timeoutSeconds": 5}).status)

    now = int(time.time())
    world.own_token(iat=now - 900, exp=now + 100)
    world.broker.stop()
    world.broker.start()
    eventually(lambda: not world.gateway.hearing())
    eventually(world.gateway.hearing, within=20)
    device = Device(world.broker.port, PHONE, echo)
    threads = [threading.Thread(target=keep_asking) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        world.own_token()
        eventually(lambda: replaced(world), within=30)
        reached = len(answers)
        eventually(lambda: len(answers) > reached + 50, within=30)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    device.stop()
    assert set(answers) == {200}


def replaced(world: World) -> bool:
    return any("session replaced" in line["message"] for line in world.gateway.logs())


def test_any_pod_knows_of_a_request(pods: list[World]) -> None:
    here, there = pods
    for world in pods:
        eventually(world.gateway.hearing)
    device = Device(here.broker.port, PHONE, be_silent)
    urls = {}
    for number, world in enumerate(pods):
        asked = ask(world, Prefer=LATER)
        urls[number] = asked.headers["Location"]
        assert urls[number].startswith(f"/v1/requests/{number}-")
    requests = [device.requests.get(timeout=5) for _ in pods]
    for request in requests:
        device.answer(request, request.topic.split("/")[-2])
    for number, url in urls.items():
        for world in pods:
            eventually(lambda: status(world, url).json["status"] == "answered")  # noqa: B023
            assert status(world, url).json["answer"] == {"payload": f"{number}"}
    assert status(here, urls[1], "DELETE").status == 204
    assert status(there, urls[1]).status == 404
    there.gateway.process.kill()
    there.gateway.process.wait()
    away = status(here, urls[1])
    assert (away.status, away.headers["Retry-After"]) == (503, "2")
    device.stop()


def test_key_is_one_request_on_any_pod(pods: list[World]) -> None:
    for world in pods:
        eventually(world.gateway.hearing)
    device = Device(pods[0].broker.port, PHONE, echo)
    for number in range(6):
        key: dict[str, Any] = {"Idempotency_Key": f"key-{number}"}
        first, second = (ask(world, **key) for world in pods)
        assert (first.status, first.body) == (200, second.body)
        later = ask(pods[0], **key, Prefer=LATER)
        assert (later.status, later.body) == (200, first.body)
    assert device.requests.qsize() == 6
    device.stop()
