"""API keys at run time, and the cookie: as recorded, and as the operator uses them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import aiohttp
import pytest

from liveconnect.controller.adapters.broker import HttpBrokers
from liveconnect.controller.model.credentials import ApiKeys
from liveconnect.controller.model.observed import BrokerView, PodView, Pool
from tests.contract.broker.hookserver import HookServer
from tests.contract.broker.node import KEY, Node, eventually

NEW = "new-key"
T = TypeVar("T")


def with_brokers(use: Callable[[HttpBrokers], Awaitable[T]]) -> T:
    async def run() -> T:
        async with aiohttp.ClientSession() as session:
            return await use(HttpBrokers(session))

    return asyncio.run(run())


def view(node: Node, current: str, other: str) -> BrokerView:
    pod = PodView(name="n", pool=Pool.SUBSCRIBER, ip=node.address, ready=True, deleting=False)
    return with_brokers(lambda b: b.observe([pod], ApiKeys(current, other)))["n"]


def accepts(node: Node, key: str) -> bool:
    return node.get("/api/v1/cluster/show", key)[0] == 200


def joined(pair: tuple[Node, Node]) -> tuple[Node, Node]:
    a, b = pair
    b.api(f"cluster/join?discovery-node={a.name}")
    eventually(lambda: len(a.members()) == len(b.members()) == 2)
    return pair


def test_a_key_is_added_and_taken_away_on_each_node_by_itself(pair: tuple[Node, Node]) -> None:
    a, b = joined(pair)
    for _ in range(2):  # again, as after an operator's restart
        with_brokers(lambda brokers: brokers.add_key(a.address, KEY, NEW))
    assert (accepts(a, NEW), accepts(b, NEW)) == (True, False)
    seen = view(b, KEY, NEW)
    assert (seen.accepts_current, seen.accepts_other, seen.reachable) == (True, False, True)
    with_brokers(lambda brokers: brokers.add_key(b.address, KEY, NEW))
    assert view(b, KEY, NEW).accepts_other
    for node in (a, b):
        for _ in range(2):
            with_brokers(lambda brokers, ip=node.address: brokers.remove_key(ip, NEW, KEY))  # type: ignore[misc]  # mypy cannot infer a lambda's default
        assert (accepts(node, NEW), accepts(node, KEY)) == (True, False)


def test_a_node_that_refuses_the_key_in_use_is_asked_with_the_other(node: Node) -> None:
    seen = view(node, NEW, KEY)
    assert (seen.accepts_current, seen.accepts_other) == (False, True)
    assert seen.reachable


def test_a_restarted_node_takes_the_clusters_list_and_not_its_file(
    pair: tuple[Node, Node],
) -> None:
    a, b = joined(pair)
    for node in (a, b):
        with_brokers(lambda brokers, ip=node.address: brokers.add_key(ip, KEY, NEW))  # type: ignore[misc]  # mypy cannot infer a lambda's default
    with_brokers(lambda brokers: brokers.remove_key(a.address, NEW, KEY))
    b.stop()
    with pytest.raises(AssertionError):  # its file says KEY, the list does not
        b.start()
    assert (accepts(b, NEW), accepts(b, KEY)) == (True, False)


def test_a_lone_node_that_got_a_key_cannot_join(pair: tuple[Node, Node]) -> None:
    a, b = pair
    with_brokers(lambda brokers: brokers.add_key(b.address, KEY, NEW))
    assert b.get(f"/api/v1/cluster/join?discovery-node={a.name}", KEY)[0] == 500


def test_no_error_quotes_a_key(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="api-key/add") as caught:
        with_brokers(lambda brokers: brokers.add_key("127.0.77.9", KEY, NEW))
    assert NEW not in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("cookie", ["vmq", "unused", ""])
def test_the_default_cookie_is_refused(
    node: Node, hooks: HookServer, tmp_path: Path, cookie: str
) -> None:
    """`vmq`: what everybody has in the official image; `unused`: what our vernemq.conf says."""
    intruder = Node("127.0.77.2", tmp_path / "intruder", hooks.url, cookie=cookie)
    intruder.start()
    try:
        joining = intruder.get(f"/api/v1/cluster/join?discovery-node={node.name}", KEY)
        assert joining[0] == 500
        asked = node.get(f"/api/v1/cluster/join?discovery-node={intruder.name}", KEY)
        assert asked[0] == 500
        assert set(node.members()) == {node.name}
    finally:
        intruder.stop()
