"""The operator's adapter drains a node: listeners stop, named clients are disconnected."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp
import pytest

from liveconnect.controller.adapters.broker import BrokerError, HttpBrokers
from liveconnect.controller.model.credentials import ApiKeys
from liveconnect.controller.model.observed import BrokerView, PodView, Pool
from tests.contract.broker.hookserver import HookServer
from tests.contract.broker.node import KEY, Node, connack, eventually
from tests.contract.broker.test_contract import Client

T = TypeVar("T")


def with_brokers(use: Callable[[HttpBrokers], Awaitable[T]]) -> T:
    async def run() -> T:
        async with aiohttp.ClientSession() as session:
            return await use(HttpBrokers(session))

    return asyncio.run(run())


def view(node: Node) -> BrokerView:
    pod = PodView(name="n", pool=Pool.SUBSCRIBER, ip=node.address, ready=True, deleting=False)
    return with_brokers(lambda brokers: brokers.observe([pod], ApiKeys(KEY)))["n"]


def disconnect(node: Node, count: int) -> None:
    with_brokers(lambda brokers: brokers.disconnect(node.address, KEY, node.name, count))


def test_stopped_listeners_take_nobody_and_keep_their_clients(node: Node) -> None:
    phone = Client(node, "phone")
    for _ in range(2):  # again, as after an operator's restart
        with_brokers(lambda brokers: brokers.stop_listeners(node.address, KEY))
    assert view(node).suspended
    assert view(node).connections == 1
    assert node.get("/health")[0] == 503
    assert phone.connected
    phone.close()


def test_listeners_that_were_stopped_take_clients_again(node: Node) -> None:
    before = Client(node, "before")
    with_brokers(lambda brokers: brokers.stop_listeners(node.address, KEY))
    for _ in range(2):  # again, as after an operator's restart
        with_brokers(lambda brokers: brokers.start_listeners(node.address, KEY))
    assert not view(node).suspended
    assert node.get("/health")[0] == 200
    after = Client(node, "after")
    assert view(node).connections == 2
    assert before.connected
    with_brokers(lambda brokers: brokers.stop_listeners(node.address, KEY))
    assert view(node).suspended
    before.close()
    after.close()


def test_a_cluster_that_falls_asleep_cuts_all_clients_with_their_hooks(
    node: Node, hooks: HookServer
) -> None:
    phone = Client(node, "phone", clean=False)
    with_brokers(lambda brokers: brokers.stop_listeners(node.address, KEY, cut=True))
    eventually(lambda: view(node).connections == 0)
    assert view(node).suspended
    eventually(lambda: hooks.hooks("phone")[-1] == "on_client_offline")
    phone.close()


def test_only_connected_clients_count_and_odd_names_name_nobody_else(node: Node) -> None:
    away = [Client(node, f"away-{n}", clean=False) for n in range(20)]
    for phone in away:
        phone.close()
    names = ["here-1", "here-2", "here-3", "odd,here-9", "odd & more"]
    here = [Client(node, name) for name in names]
    unnameable = Client(node, 'odd" OR client_id != "')
    eventually(lambda: view(node).connections == 6)
    disconnect(node, 2)
    eventually(lambda: view(node).connections == 4)
    disconnect(node, 100)
    eventually(lambda: view(node).connections == 1)
    assert unnameable.connected
    eventually(lambda: view(node).queues == 21)
    for phone in (*here, unnameable):
        phone.close()


def test_running_nodes_take_over_options_and_say_so(node: Node) -> None:
    wanted = {"max_client_id_size": "10", "upgrade_outgoing_qos": "on", "retry_interval": "20"}
    with_brokers(lambda b: b.set_options(node.address, KEY, wanted, wanted))
    assert connack(node.address, 4, "ten-letter") == 0
    assert connack(node.address, 4, "ten-letters") == 2  # identifier rejected
    with pytest.raises(BrokerError, match="max_client_id_size is 10, not many"):
        with_brokers(
            lambda b: b.set_options(
                node.address, KEY, {"max_client_id_size": "many"}, ["max_client_id_size"]
            )
        )


def test_a_listener_that_stops_with_its_sessions_tells_their_hooks(
    node: Node, hooks: HookServer
) -> None:
    phone, kept = Client(node, "phone"), Client(node, "kept", clean=False)
    node.api("listener/stop?address=0.0.0.0&port=1883&--kill_sessions")
    eventually(lambda: hooks.hooks("phone")[-1] == "on_client_gone")
    eventually(lambda: hooks.hooks("kept")[-1] == "on_client_offline")
    phone.close()
    kept.close()
