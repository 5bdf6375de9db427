"""Recorded lines about time: what holds clients up, what is cached, pools, the ends of sessions.

Each line is named here with what it means for us; the last tests compare with the recordings, so
that none is left out.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Final

import pytest

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.common.policy import Pool
from liveconnect.common.process import Draining
from liveconnect.common.server import Limits as ServerLimits
from liveconnect.common.server import Response
from liveconnect.common.server.connection import Connection
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Pool as BrokerPool
from liveconnect.controller.rendering import configuration
from liveconnect.controller.rendering.configuration import DEFAULT_OPTIONS, hooks
from liveconnect.webhook.contract import (
    OK,
    PRESENCE_HOOKS,
    Hook,
    SubscribeTopic,
    connect_allowed,
    parse_body,
    subscribe_answer,
)
from liveconnect.webhook.governor import Limits
from liveconnect.webhook.hooks import Call, PresenceBody, PresenceHooks
from liveconnect.webhook.presence import Event
from tests.contract.webhook.test_answers import RECORDINGS
from tests.contract.webhook.test_recorded_lines import ORDER

POOLS: dict[str, Any] = json.loads((RECORDINGS / "endpoints-pool-chain.json").read_text())
VERNEMQ_WAITS_SECONDS: Final = 5.0

CODES = {name: int(name[-3:]) for name in ORDER if name.startswith("m5 topics qos 1")}
HELD_UP = {name: name.split()[0] for name in ORDER if name.endswith("answered after 2 s")}
CACHE = {name for name in ORDER if name.startswith("cache")}
IGNORED = {
    "on_register HTTP 500",
    "on_client_wakeup HTTP 500",
    "on_deliver HTTP 500: subscriber gets",
}
ENDS = {
    "max_connection_lifetime 3, idle client, 3.1.1",
    "max_connection_lifetime 3, idle client, 5",
}
REFUSED_CODE = 5

SPEC = {
    "broker": {"image": "b:1"},
    "auth": {
        "tokens": [
            {"jwt": {"issuer": "https://i.example", "audiences": ["a"], "jwksURI": "https://i/j"}}
        ]
    },
}
CLUSTER = Cluster.parse(
    {
        "apiVersion": "liveconnect.io/v1alpha1",
        "kind": "LiveConnectCluster",
        "metadata": {"name": "demo", "namespace": "shop", "uid": "u"},
        "spec": SPEC,
    }
)
ASKED = {
    pool: {one.hook: one.endpoint for one in hooks(CLUSTER, Names("demo", "shop", "c.local"), pool)}
    for pool in BrokerPool
}


@pytest.mark.parametrize("name", sorted(CODES))
def test_only_one_reason_code_for_a_filter_is_ours(name: str) -> None:
    topics = [SubscribeTopic("f", 1), SubscribeTopic("g", 1)]
    answer = json.loads(subscribe_answer(topics, [None, 1], mqtt5=True))
    entry, _ = answer["modifiers"]["topics"]
    crashed = ORDER[name] == "connection reset"
    assert crashed or int(ORDER[name][-2:], 16) == CODES[name]
    assert (entry["qos"] == CODES[name]) == (CODES[name] == 135)
    assert not (crashed and entry["qos"] == CODES[name])


class _Queue:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def put(self, event: Event) -> None:
        self.events.append(event)


@pytest.mark.parametrize("name", sorted(HELD_UP))
def test_no_hook_of_ours_holds_a_client_up(name: str) -> None:
    """What holds clients up is not asked for, is answered at once, or decides something."""
    hook, slowest = Hook(HELD_UP[name]), max(ORDER[name].values())
    if slowest < 1 or hook not in ASKED[BrokerPool.SUBSCRIBER]:
        assert hook not in ASKED[BrokerPool.PUBLISHER]
        return
    if hook not in PRESENCE_HOOKS:
        assert hook.startswith("auth_on_")
        return
    queue = _Queue()
    body = {"client_id": "c", "mountpoint": "", "username": "t", "peer_addr": "", "peer_port": 1}
    parsed = parse_body(hook, json.dumps(body).encode())
    call = Call(hook, Pool.SUBSCRIBER, "demo-subscriber-0")
    presence = PresenceHooks(queue, clock=lambda: 1)  # type: ignore[arg-type]
    assert isinstance(parsed, PresenceBody)
    assert presence.take(call, parsed) == OK  # no coroutine: nothing is waited for
    assert [event.client_id for event in queue.events] == ["c"]


@pytest.mark.parametrize("name", sorted(IGNORED))
def test_presence_refuses_nobody_whatever_happens_to_it(name: str) -> None:
    line = ORDER[name]
    assert line["code"] == 0 if isinstance(line, dict) else line == "32080003732f31000178"


@pytest.mark.parametrize("name", sorted(CACHE))
def test_nothing_that_we_answer_is_cached(name: str) -> None:
    """A cached yes would outlive a revocation, and an answer's lifetime the token."""
    assert Response(OK).headers == {}
    assert Response(connect_allowed(3)).headers == {}
    calls = ORDER[name]["hook_calls"]
    if "no-store" in name or "error" in name:
        assert calls == ORDER[name]["connects"]
    elif "connects" in ORDER[name]:
        assert calls < ORDER[name]["connects"]


@pytest.mark.parametrize("name", sorted(ENDS))
def test_a_session_ends_after_its_lifetime_although_it_does_nothing(name: str) -> None:
    assert json.loads(connect_allowed(3))["modifiers"] == {"max_connection_lifetime": 3}
    assert ORDER[name]["after_s"] == pytest.approx(3, abs=0.2)
    assert "reset" in ORDER[name]["got"] or ORDER[name]["got"] == "e0029800"


def test_no_line_about_order_and_time_is_left_out() -> None:
    codes = {name for name in ORDER if name.startswith(("SUBSCRIBE f/1", "answer "))}
    named = {*CODES, "m5 topics qos not_allowed", *HELD_UP, *CACHE, *IGNORED, *ENDS, *codes}
    assert set(ORDER) == named
    assert (len(CODES), len(HELD_UP), len(CACHE)) == (9, 9, 10)


AT_ONCE = "300 connects at once, hook answers after 2 s, pool 100"
TOO_MANY = "600 connects at once, hook answers after 4 s, pool 100"
PORTS = "distinct source ports used for those 300 calls"
AWAY = {
    "endpoint refuses connections",
    "vmq_webhooks on, no auth_on_register endpoint registered",
    "endpoint drops SYN (connect time-out)",
    "endpoint name does not resolve",
}
CHAIN = {name for name in POOLS if name.startswith("two endpoints on auth_on_register")}


@pytest.mark.parametrize("name", sorted(AWAY))
def test_without_us_nobody_gets_in(name: str) -> None:
    assert POOLS[name]["code"] == REFUSED_CODE


@pytest.mark.parametrize("name", sorted(CHAIN))
def test_a_second_endpoint_would_help_nobody(name: str) -> None:
    """Only `next` asks it, which we never answer: so each hook has one."""
    asked_both = len(POOLS[name]["called"]) == 2
    assert asked_both == ("first next" in name)
    for pool in BrokerPool:
        named = [one.hook for one in hooks(CLUSTER, Names("demo", "shop", "c.local"), pool)]
        assert len(named) == len(set(named))


def test_held_answers_leave_time_for_those_who_wait_behind_them() -> None:
    assert set(POOLS[AT_ONCE]["codes"]) == {"0"}
    assert POOLS[TOO_MANY]["codes"] == {"0": 300, str(REFUSED_CODE): 300}
    refused_after = POOLS[TOO_MANY]["connack_min"]
    limits = Limits(node_rate=1.0)
    assert limits.hold_seconds + 1 <= VERNEMQ_WAITS_SECONDS
    assert limits.hold_seconds + limits.relief_seconds + 1 <= refused_after
    assert POOLS[PORTS] == configuration._HOOK_CONNECTIONS


def test_connects_wait_in_a_pool_of_their_own() -> None:
    """Pools are per URL: who is held must hold up no live session, and no presence."""
    for pool, asked in ASKED.items():
        connects = {url for hook, url in asked.items() if hook.startswith("auth_on_register")}
        others = {url for hook, url in asked.items() if not hook.startswith("auth_on_register")}
        assert len(connects) == 1
        assert not connects & others
        presence = {asked[hook] for hook in asked if hook in PRESENCE_HOOKS}
        assert len(presence) == (pool is BrokerPool.SUBSCRIBER)
        assert not presence & {asked["auth_on_publish"], asked["auth_on_subscribe"]}


def test_no_line_about_pools_is_left_out() -> None:
    assert set(POOLS) == {AT_ONCE, TOO_MANY, PORTS, *AWAY, *CHAIN}


class _Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    def is_closing(self) -> bool:
        return self.closed

    def is_reading(self) -> bool:
        return True

    def write(self, _data: object) -> None:
        """Nobody reads it."""

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("asked", [False, True])
def test_a_connection_is_kept_longer_than_vernemq_keeps_it(asked: bool) -> None:
    """Were we to close first, a request on its way would be a refusal to a client."""
    recorded_seconds = 60.0
    assert int(DEFAULT_OPTIONS["vmq_webhooks.pool_timeout"]) / 1000 <= recorded_seconds
    transport, began = _Transport(), time.monotonic()
    connection = Connection(lambda _: Response(OK), Draining(), ServerLimits(), set())
    connection.connection_made(transport)
    if asked:
        connection.data_received(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
    connection.check_time(began + recorded_seconds + 10)
    assert not transport.closed
    connection.check_time(began + 600)
    assert transport.closed
