"""The operator's canary, between real sockets of the stand-in: what it finds, and who sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from liveconnect.api.operands import CANARY_MOUNTPOINT, CANARY_TOPIC, BrokerAccess
from liveconnect.common.logs import Redacted
from liveconnect.common.serviceaccounts import OwnToken
from liveconnect.controller.adapters import canary, canaryround
from liveconnect.controller.adapters.canary import Canary
from liveconnect.controller.adapters.canaryround import Outcome, Round
from liveconnect.controller.adapters.canarysession import CanarySession
from liveconnect.controller.model.mesh import MeshView, Target
from liveconnect.controller.model.names import CANARY_PORT
from liveconnect.webhook.adapters.brokers import Brokers
from tests.contract.broker.hookserver import Answer, HookServer
from tests.contract.broker.node import KEY, Node, eventually, start_all
from tests.contract.broker.test_contract import Client
from tests.contract.broker.test_draining import view

TOKEN = Redacted("token")


def make(number: int, folder: Path, hooks: HookServer) -> Node:
    address = f"127.0.77.{number}"
    listener = (
        f"listener.tcp.canary = {address}:{CANARY_PORT}",
        f"listener.tcp.canary.mountpoint = {CANARY_MOUNTPOINT}",
        "listener.tcp.canary.nr_of_acceptors = 1",
        "listener.tcp.canary.max_connections = 10",
    )
    return Node(address, folder / str(number), hooks.url, extra=listener)


@pytest.fixture
def nodes(tmp_path: Path, hooks: HookServer) -> Iterator[list[Node]]:
    """Three nodes, not joined, each with a private listener."""
    made = [make(number, tmp_path, hooks) for number in (1, 2, 3)]
    start_all(made)
    yield made
    for node in made:
        if not node.exited():
            node.stop()


def join(*nodes: Node) -> None:
    for node in nodes[1:]:
        node.api(f"cluster/join?discovery-node={nodes[0].name}")
        names = {n.name for n in nodes[: nodes.index(node) + 1]}
        for member in nodes[: nodes.index(node) + 1]:
            eventually(lambda member=member, names=names: set(member.members()) == names)  # type: ignore[misc]  # mypy cannot infer a lambda's default


def target(node: Node) -> Target:
    number = node.address[-1]
    return Target(f"pod-{number}", number, node.address, f"subscriber-{number}")


def tried(*nodes: Node) -> Outcome:
    async def run() -> Outcome:
        return await Round([target(node) for node in nodes], CANARY_PORT).run(TOKEN)

    return asyncio.run(run())


def test_a_whole_cluster_delivers_between_all_pairs(nodes: list[Node]) -> None:
    join(*nodes)
    outcome = tried(*nodes)
    pairs = {(a, b) for a in "123" for b in "123" if a != b}
    assert outcome.seconds.keys() == pairs
    assert not outcome.faults
    assert all(took is not None and 0 <= took < 5 for took in outcome.seconds.values())
    assert outcome.connected == ("pod-1", "pod-2", "pod-3")
    # Another round at once: nothing of the first is in its way.
    assert tried(*nodes).seconds.keys() == pairs


def test_a_node_that_the_others_do_not_reach_is_found(
    nodes: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canaryround, "DELIVERY_SECONDS", 1.5)
    join(*nodes[:2])  # the third takes clients, as a forgotten node does
    outcome = tried(*nodes)
    lost = {pair for pair, took in outcome.seconds.items() if took is None}
    assert lost == {("1", "3"), ("3", "1"), ("2", "3"), ("3", "2")}
    assert outcome.seconds["1", "2"] is not None
    assert not outcome.faults


def test_what_cannot_be_tried_is_no_split(nodes: list[Node], hooks: HookServer) -> None:
    join(*nodes)
    hooks.answers["auth_on_publish_m5"] = Answer('{"result":{"error":"not_allowed"}}')
    outcome = tried(*nodes)
    assert not outcome.seconds
    assert set(outcome.faults.values()) == {"message refused: Not authorized"}
    hooks.answers["auth_on_register_m5"] = Answer('{"result":{"error":"not_allowed"}}')
    outcome = tried(*nodes)
    assert not outcome.seconds
    assert all(why.startswith("refused: ") for why in outcome.faults.values())
    hooks.answers.clear()
    everybody = tuple(nodes)
    nodes.pop().stop(kill=True)
    outcome = tried(*everybody)
    assert outcome.seconds.keys() == {("1", "2"), ("2", "1")}
    assert outcome.faults.keys() == {"3"}


def test_the_canary_is_no_client(nodes: list[Node], hooks: HookServer) -> None:
    join(*nodes)
    phone = Client(nodes[1], "phone")
    assert phone.subscribe(("#", 1)) == [1]
    assert not tried(*nodes).faults
    canaries = [asked for asked in hooks.asked if asked.body["client_id"].startswith("subscriber-")]
    assert {asked.body["mountpoint"] for asked in canaries} == {CANARY_MOUNTPOINT}
    assert {asked.body["topic"] for asked in canaries if "topic" in asked.body} == {CANARY_TOPIC}
    phone.publish("news", b"1")
    eventually(lambda: phone.messages)
    assert [topic for topic, _ in phone.messages] == ["news"]  # `#` is everything but the canary's
    phone.close()


def test_nobody_counts_or_lists_the_canary(nodes: list[Node], tmp_path: Path) -> None:
    node = nodes[0]
    phone = Client(node, "phone")
    key = tmp_path / "key"
    key.write_text(KEY)
    access = BrokerAccess(
        hosts=[node.address], node_suffix="", pod_prefix="", api_key_file=str(key)
    )

    async def look() -> tuple[list[str], list[str]]:
        session = CanarySession("subscriber-1", lambda _: None)
        await session.open(node.address, CANARY_PORT, TOKEN)
        try:
            async with aiohttp.ClientSession() as http:
                brokers = Brokers(http, access)
                listed = list(await brokers.online(node.address, node.name))
                held = await brokers.subscriptions(node.address, node.name)
            seen = await asyncio.to_thread(view, node)
        finally:
            session.close()
        assert (seen.connections, seen.queues) == (1, 1)
        return listed, [one.topic for one in held]

    phone.subscribe(("news", 1))
    assert asyncio.run(look()) == (["phone"], ["news"])
    phone.close()


def test_it_goes_on_beside_the_passes_and_tells_what_changes(
    nodes: list[Node], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canaryround, "DELIVERY_SECONDS", 1.5)
    monkeypatch.setattr(canary, "_AGAIN_SECONDS", 0.1)
    monkeypatch.setattr(canary, "_CALM_SECONDS", 0.2)
    join(*nodes[:2])
    token = tmp_path / "token"

    async def run() -> None:
        news = asyncio.Event()
        mine = Canary(OwnToken(token))
        mine.on_news = news.set

        async def next_view() -> MeshView:
            await asyncio.wait_for(news.wait(), 10)
            news.clear()
            return mine.view()

        mine.aim("ns", "demo", tuple(map(target, nodes[:2])))
        first = await next_view()
        assert set(first.faults.values()) == {"the operator's own token cannot be read"}
        token.write_text("token")
        second = await next_view()
        assert not second.faults
        assert {pair: d.seconds is not None for pair, d in second.pairs.items()} == {
            ("1", "2"): True,
            ("2", "1"): True,
        }
        mine.aim("ns", "demo", tuple(map(target, nodes)))
        third = await next_view()
        assert third.pairs["1", "3"].seconds is None
        assert third.pairs["1", "2"].seconds is not None
        mine.aim("ns", "demo", tuple(map(target, nodes[1:])))
        assert all("1" not in pair for pair in mine.view().pairs)
        assert mine.view().connects["pod-1"] >= 2
        await mine.close()

    asyncio.run(run())


def test_what_is_published_to_the_brokers_own_topics_is_dropped_without_a_word(
    node: Node, hooks: HookServer
) -> None:
    phone = Client(node, "phone")
    phone.subscribe(("$own/topic", 1))
    info = phone._mqtt.publish("$own/topic", b"1", 1)
    phone.publish("news", b"1")
    assert not info.is_published()
    assert not phone.messages
    assert {a.body["topic"] for a in hooks.asked if a.hook == "auth_on_publish"} == {"news"}
    phone.close()
