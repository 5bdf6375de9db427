"""The management API where it surprises, and the operator's way around."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
import pytest

from liveconnect.controller.adapters.broker import HttpBrokers
from tests.contract.broker.node import KEY, Node, eventually
from tests.contract.broker.test_contract import Client, joined


@pytest.fixture
async def brokers() -> AsyncIterator[HttpBrokers]:
    async with aiohttp.ClientSession() as session:
        yield HttpBrokers(session)


def online(node: Node) -> int:
    """Connections of the MQTT listener."""
    rows = node.api("listener/show")["table"]
    return sum(int(row["active_conns"]) for row in rows if row["type"] == "mqtt")


def offline(node: Node, count: int) -> None:
    """Persistent sessions of clients that went away; they stand first in the session table."""
    for number in range(count):
        Client(node, f"away-{number:02}", clean=False).close()


def test_a_batch_takes_the_same_first_sessions_again(node: Node) -> None:
    offline(node, 10)
    clients = [Client(node, f"phone-{number}", clean=False) for number in range(4)]
    for _ in range(3):
        assert node.api("session/disconnect/batch?count=10")["text"] == "Done"
        assert online(node) == 4
    for client in clients:
        client.close()


def test_a_batch_and_a_disconnect_reach_every_node(pair: tuple[Node, Node]) -> None:
    a, b = joined(pair)
    clients = [Client(b, f"phone-{number}") for number in range(4)]
    a.api(f"session/disconnect/batch?count=9&--node={a.name}")
    assert online(b) == 4
    a.api("session/disconnect/batch?count=2")
    eventually(lambda: online(b) == 2)
    a.api("session/disconnect?client-id=phone-3")
    eventually(lambda: online(b) == 1)
    for client in clients:
        client.close()


def test_some_client_ids_cannot_be_named(node: Node) -> None:
    clients = [Client(node, client_id) for client_id in ('a"b', "Ωmega", "phoné")]
    for client_id in ('a"b', "Ωmega", "phoné"):
        node.api(f"session/disconnect?client-id={quote(client_id)}")
    assert online(node) == 3
    node.api("session/disconnect?client-id=phon%E9")
    eventually(lambda: online(node) == 2)
    for client in clients:
        client.close()


async def test_the_operator_disconnects_as_many_connected_clients_as_it_says(
    node: Node, brokers: HttpBrokers
) -> None:
    offline(node, 20)
    clients = [Client(node, f"phone {number}", clean=False) for number in range(6)]
    clients.append(Client(node, 'no"name'))
    for left in (5, 3, 1, 1):
        await brokers.disconnect(node.address, KEY, node.name, 2)
        assert eventually(lambda left=left: online(node) == left)  # type: ignore[misc]  # mypy cannot infer a lambda's default
    for client in clients:
        client.close()
