"""The brokers asked, against the stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from liveconnect.api.operands import BrokerAccess
from liveconnect.webhook.adapters.brokers import Brokers, BrokerUnavailableError
from tests.contract.broker.hookserver import HookServer
from tests.contract.broker.node import KEY, Node, eventually
from tests.contract.broker.test_contract import Client

ADDRESS = "127.0.78.1"
NAME = f"VerneMQ@{ADDRESS}"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    hooks = HookServer()
    lone = Node(ADDRESS, tmp_path / "n", hooks.url)
    lone.start()
    yield lone
    lone.stop()
    hooks.close()


@pytest.fixture
async def brokers(tmp_path: Path) -> AsyncIterator[Brokers]:
    key = tmp_path / "key"
    key.write_text(f"{KEY}\n")
    access = BrokerAccess(
        hosts=[ADDRESS, "127.0.78.99"],
        node_suffix="",
        pod_prefix="127.0.78.",
        api_key_file=str(key),
    )
    async with aiohttp.ClientSession() as session:
        yield Brokers(session, access)


async def test_vitals_members_and_sessions(node: Node, brokers: Brokers) -> None:
    clients = [Client(node, f"phone {number}/é#") for number in range(3)]
    (vitals,) = await brokers.vitals()
    assert (vitals.node, vitals.address, vitals.connections) == (NAME, ADDRESS, 3)
    assert vitals.hook_errors == 0
    assert await brokers.members(ADDRESS) == {NAME: True}
    wanted = {f"phone {number}/é#" for number in range(3)}
    assert set(await brokers.online(ADDRESS, NAME)) == wanted
    assert await brokers.online(ADDRESS, "VerneMQ@other") == []
    await brokers.disconnect(ADDRESS, "phone 1/é#")
    eventually(lambda: len(node.api("session/show?--client_id&--is_online=true")["table"]) == 2)
    for client in clients:
        client.close()


async def test_names(brokers: Brokers) -> None:
    assert brokers.pod_of(NAME) == ADDRESS
    assert brokers.pod_of("VerneMQ@publisher") is None
    assert brokers.node_of(ADDRESS) == NAME


async def test_a_node_that_does_not_answer(brokers: Brokers) -> None:
    assert await brokers.vitals() == ()
    for ask in (brokers.members(ADDRESS), brokers.online(ADDRESS, NAME)):
        with pytest.raises(BrokerUnavailableError):
            await ask


@pytest.mark.parametrize("client_id", ["", 'a" OR "1', "a\\"])
async def test_no_client_id_reaches_into_the_brokers_query(
    brokers: Brokers, client_id: str
) -> None:
    with pytest.raises(BrokerUnavailableError, match="client id"):
        await brokers.disconnect(ADDRESS, client_id)


async def test_a_wrong_key_is_not_shown(node: Node, brokers: Brokers) -> None:
    brokers._key_file.write_text("wrong-secret")
    with pytest.raises(BrokerUnavailableError, match="401") as error:
        await brokers.members(ADDRESS)
    assert "wrong-secret" not in str(error.value)
