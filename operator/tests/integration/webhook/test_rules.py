"""Rules change while the service runs: the next request of every session is decided by them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from liveconnect.api.operands import AuthConfig
from tests.integration.webhook.test_topics import OK, REFUSED, publish, subscribe
from tests.integration.webhook.world import World, eventually

NOTES = {"filter": "notes/#", "allow": ["publish"], "source": "LiveConnectTopic shop/notes"}


def config_file(world: World) -> Path:
    return world.folder / "config.json"


def change(world: World, edit: Callable[[dict[str, Any]], None]) -> None:
    """Replace the file as the kubelet does: at once."""
    config = json.loads(config_file(world).read_text())
    edit(config)
    put(world, json.dumps(config))


def put(world: World, text: str) -> None:
    fresh = world.folder / "config.new"
    fresh.write_text(text)
    os.replace(fresh, config_file(world))  # noqa: PTH105 - a rename over the old one


def in_use(world: World) -> dict[str, Any]:
    answer = world.service.request("GET", "/v1/rules")
    assert answer.status == 200
    document: dict[str, Any] = answer.json
    return document


def digest(world: World) -> str:
    return AuthConfig.model_validate_json(config_file(world).read_text()).rules_digest()


def test_new_rules_decide_at_once_and_without_a_restart(own_world: World) -> None:
    token = own_world.device()
    assert publish(own_world, token, "notes/x") == REFUSED
    assert publish(own_world, token, "devices/phone-1/x") == OK
    assert in_use(own_world)["digest"] == digest(own_world)

    def edit(config: dict[str, Any]) -> None:
        config["topics"] = [NOTES]

    change(own_world, edit)
    eventually(lambda: in_use(own_world) == {"digest": digest(own_world), "rules": 1}, within=5)
    assert publish(own_world, token, "notes/x") == OK
    assert publish(own_world, token, "devices/phone-1/x") == REFUSED
    assert subscribe(own_world, token, ("devices/phone-1/#", 0)) == REFUSED
    assert own_world.service.process.poll() is None


def test_backends_follow_too(own_world: World) -> None:
    token = own_world.backend()
    assert publish(own_world, token, "orders/1", pool="publisher") == OK

    def edit(config: dict[str, Any]) -> None:
        config["publishers"] = []

    change(own_world, edit)
    eventually(lambda: publish(own_world, token, "orders/1", pool="publisher") == REFUSED, within=5)


def test_a_file_that_is_no_good_changes_nothing(own_world: World) -> None:
    token = own_world.device()
    before = in_use(own_world)
    good = config_file(own_world).read_text()

    def refused() -> int:
        return sum("rules cannot be used" in str(line) for line in own_world.service.logs())

    for number, text in enumerate(("", "{", "[]", '{"topics": []}', "\0"), 1):
        put(own_world, text)
        eventually(lambda number=number: refused() == number, within=5)  # type: ignore[misc]
    assert in_use(own_world) == before
    assert publish(own_world, token, "devices/phone-1/x") == OK
    own_world.folder.joinpath("config.json").unlink()
    put(own_world, good)
    assert in_use(own_world) == before


def test_a_rule_that_means_nothing_is_left_out_and_the_others_decide(own_world: World) -> None:
    def edit(config: dict[str, Any]) -> None:
        config["topics"] = [{**NOTES, "filter": "a/{nobody}"}, NOTES]

    change(own_world, edit)
    eventually(lambda: publish(own_world, own_world.device(), "notes/x") == OK, within=5)
    assert publish(own_world, own_world.device(), "a/x") == REFUSED


def test_what_rules_there_are_is_only_read(world: World) -> None:
    assert world.service.request("POST", "/v1/rules", b"{}").status == 405
    assert set(in_use(world)) == {"digest", "rules"}
