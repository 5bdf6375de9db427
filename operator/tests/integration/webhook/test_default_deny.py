"""Nobody gets in by any path that is not written down here, whatever is sent."""

from __future__ import annotations

import functools
import http.client
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liveconnect.api.operands import CANARY_MOUNTPOINT, CANARY_TOPIC
from liveconnect.webhook.contract import AUTH_HOOKS, CONNECT_HOOKS, PRESENCE_HOOKS, Hook
from tests.contract.webhook.test_bodies import BODIES, JSON
from tests.integration.webhook.world import (
    ISSUER,
    OPERATOR,
    Keys,
    World,
    device_claims,
    register_body,
)

POOLS = ("subscriber", "publisher")
SERVED = {"auth": AUTH_HOOKS, "connect": CONNECT_HOOKS, "presence": PRESENCE_HOOKS}
"""What is answered where; brokers are told the second for connects, and the first for the rest."""
NOWHERE = "no/rule/covers/this"


@functools.cache
def stranger() -> Keys:
    """Whose keys are called as the issuer's."""
    return Keys("device-1")


def tokens(world: World, client_id: str = "phone-1") -> dict[str, str | None]:
    """A token of every kind, good and bad, for a client."""
    good = world.device(client_id)
    head, claims, _ = good.split(".")
    return {
        "none": None,
        "empty": "",
        "noise": "x.y.z",
        "a good device's": good,
        "another client's": world.device("another"),
        "expired": world.device(client_id, exp=int(time.time()) - 100),
        "not valid yet": world.device(client_id, nbf=int(time.time()) + 1000),
        "for somebody else": world.device(client_id, aud="others"),
        "of another issuer": world.device(client_id, iss="https://evil.example"),
        "signed by a stranger": stranger().sign(device_claims(client_id)),
        "without a signature": f"{head}.{claims}.",
        "without an end": world.issuer.sign({"iss": ISSUER, "client_id": client_id}),
        "a backend's": world.backend(),
        "the operator's": world.backend(OPERATOR),
        "an unknown backend's": world.backend("system:serviceaccount:shop:stranger"),
        "too long": "x" * 50_000,
    }


def body_of(
    hook: Hook, token: str | None, client_id: str = "phone-1", **more: Any
) -> dict[str, Any]:
    body = register_body(token, client_id, m5=hook.mqtt5)
    topics = [{"topic": NOWHERE, "qos": 0}, {"topic": "#", "qos": 0}]
    message = {"topic": NOWHERE, "qos": 0, "retain": False, "payload": ""}
    return {**body, **message, "topics": topics, **more}


def allows(answer: Any) -> bool:
    """Whether VerneMQ would take an answer for a yes to anything."""
    if answer == {"result": {"error": "not_allowed"}}:
        return False
    topics = answer.get("topics") or (answer.get("modifiers") or {}).get("topics")
    return not topics or any(topic["qos"] < 128 for topic in topics)


def test_every_path_that_lets_somebody_in(world: World) -> None:
    """All hooks, from both pools, with every kind of token: these are all the ways in.

    Another client each time, for the answers to who is refused again and again are held back.
    """
    asked = [(purpose, hook) for purpose in ("auth", "connect") for hook in sorted(SERVED[purpose])]
    found = set()
    for (purpose, hook), pool in itertools.product(asked, POOLS):
        client_id = f"{purpose}-{hook.value}-{pool}"
        for kind, token in tokens(world, client_id).items():
            body = body_of(hook, token, client_id)
            if allows(world.service.hook(hook.value, body, pool=pool, purpose=purpose).json):
                found.add((purpose, hook.value, pool, kind))
    assert found == {
        (purpose, hook, pool, kind)
        for purpose in ("auth", "connect")
        for hook in ("auth_on_register", "auth_on_register_m5")
        for pool, kind in (("subscriber", "a good device's"), ("publisher", "a backend's"))
    }


def test_the_private_listener_lets_nobody_in_but_the_operator(world: World) -> None:
    own: dict[str, Any] = {
        "mountpoint": CANARY_MOUNTPOINT,
        "topic": CANARY_TOPIC,
        "topics": [{"topic": CANARY_TOPIC, "qos": 1}],
    }
    found = {
        (hook.value, pool, kind)
        for hook, pool, (kind, token) in itertools.product(
            sorted(AUTH_HOOKS), POOLS, tokens(world).items()
        )
        if allows(world.service.hook(hook.value, body_of(hook, token, **own), pool=pool).json)
    }
    asking = {h.value for h in AUTH_HOOKS if h is not Hook.ON_AUTH_M5}
    assert found == {(hook, pool, "the operator's") for hook in asking for pool in POOLS}
    elsewhere = {"mountpoint": CANARY_MOUNTPOINT}
    operator = tokens(world)["the operator's"]
    for hook in (Hook.AUTH_ON_PUBLISH, Hook.AUTH_ON_SUBSCRIBE):
        body = body_of(hook, operator, **elsewhere)
        assert not allows(world.service.hook(hook.value, body).json)


@pytest.mark.parametrize("hook", sorted(Hook))
@pytest.mark.parametrize("purpose", [*SERVED, "other"])
def test_every_hook_is_served_at_one_place_or_not_at_all(
    world: World, hook: Hook, purpose: str
) -> None:
    served = SERVED.get(purpose, frozenset())
    answer = world.service.hook(hook.value, body_of(hook, "x"), purpose=purpose)
    assert answer.status == (200 if hook in served else 404)
    if answer.status == 200 and purpose != "presence":
        assert not allows(answer.json)


class Wire:
    """One connection to the service, made anew when the service closes it."""

    def __init__(self, world: World) -> None:
        address = urlsplit(world.service.url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port)

    def post(
        self, hook: str, content: bytes, pool: str, purpose: str = "auth"
    ) -> tuple[int, bytes]:
        path = f"/hooks/{purpose}/{pool}/demo-subscriber-0"
        self._connection.request("POST", path, content, {"vernemq-hook": hook})
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def wire(world: World) -> Iterator[Wire]:
    opened = Wire(world)
    yield opened
    opened.close()


AUTH_BODIES = {
    name: BODIES[name]["body"] for name in BODIES if name in {h.value for h in AUTH_HOOKS}
}
PRESENCE_BODIES = {
    name: BODIES[name]["body"] for name in BODIES if name in {h.value for h in PRESENCE_HOOKS}
}
FUZZ = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def is_a_no(status: int, content: bytes) -> bool:
    if status == 200:
        return not allows(json.loads(content))
    return 400 <= status < 500 and json.loads(content)["status"] == status


NUMBERS = itertools.count()


def changed(data: st.DataObject, recorded: dict[str, Any]) -> bytes:
    """A recorded body without some of its keys, and with anything in the others.

    Of another client each time, for the answers to who is refused again and again are held back.
    """
    body = {**recorded, "client_id": f"client-{next(NUMBERS)}"}
    for key in data.draw(st.lists(st.sampled_from(sorted(body)), max_size=3, unique=True)):
        del body[key]
    body |= data.draw(st.dictionaries(st.sampled_from(sorted(recorded)) | st.text(), JSON))
    return json.dumps(body).encode()


@FUZZ
@given(data=st.data(), pool=st.sampled_from(POOLS))
def test_recorded_bodies_with_anything_in_them_get_a_no(
    wire: Wire, data: st.DataObject, pool: str
) -> None:
    hook = data.draw(st.sampled_from(sorted(AUTH_BODIES)))
    assert is_a_no(*wire.post(hook, changed(data, AUTH_BODIES[hook]), pool))


@FUZZ
@given(data=st.data(), pool=st.sampled_from(POOLS))
def test_presence_takes_what_can_be_read_and_nothing_ends_it(
    wire: Wire, data: st.DataObject, pool: str
) -> None:
    hook = data.draw(st.sampled_from(sorted(PRESENCE_BODIES)))
    recorded = changed(data, PRESENCE_BODIES[hook])
    content = data.draw(st.just(recorded) | st.binary(max_size=400))
    status, answer = wire.post(hook, content, pool, "presence")
    assert (status, json.loads(answer)) == (200, {"result": "ok"}) or is_a_no(status, answer)


@FUZZ
@given(content=st.binary(max_size=400), hook=st.sampled_from(sorted(AUTH_HOOKS)))
def test_noise_gets_a_no(wire: Wire, content: bytes, hook: Hook) -> None:
    assert is_a_no(*wire.post(hook.value, content, "subscriber"))


@FUZZ
@given(hook=st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=30))
def test_unknown_hooks_are_not_found(wire: Wire, world: World, hook: str) -> None:
    content = json.dumps(register_body(world.device(), "phone-1")).encode()
    if hook.strip() in set(Hook):
        return
    status, answer = wire.post(hook, content, "subscriber")
    assert (status, json.loads(answer)["status"]) == (404, 404)


@FUZZ
@given(cut=st.integers(0, 2000), flip=st.integers(0, 255), at=st.integers(0, 2000))
def test_a_good_body_that_was_damaged_gets_a_no_or_means_the_same(
    wire: Wire, world: World, cut: int, flip: int, at: int
) -> None:
    """One changed byte is not enough to make one client of another."""
    content = bytearray(json.dumps(register_body(world.device("phone-1"), "tablet-7")).encode())
    if at < len(content):
        content[at] = flip
    status, answer = wire.post(
        "auth_on_register", bytes(content[: len(content) - cut]), "subscriber"
    )
    assert is_a_no(status, answer)


def test_afterwards_it_is_well(world: World) -> None:
    assert world.service.connect(world.device())["result"] == "ok"
    levels = {entry["level"] for entry in world.service.logs()}
    assert not levels & {"error", "critical"}
