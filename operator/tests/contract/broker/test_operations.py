"""Joining, dying and coming back: what operations.md has recorded and no other file asks for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.broker.hookserver import HookServer
from tests.contract.broker.node import KEY, Node, connack, eventually, start_all
from tests.contract.broker.test_contract import Client, joined
from tests.contract.broker.test_properties import connect

_ACTS = ("register", "publish", "subscribe", "unsubscribe")


def refused_to_join(node: Node, discovery: Node) -> bool:
    return node.get(f"/api/v1/cluster/join?discovery-node={discovery.name}", KEY) == (500, "")


@pytest.fixture
def consistent(tmp_path: Path, hooks: HookServer) -> Iterator[tuple[Node, Node]]:
    """A pair with VerneMQ's own defaults: nothing is allowed during a netsplit."""
    switches = [f"allow_{act}_during_netsplit = off" for act in _ACTS]
    nodes = (
        Node("127.0.77.1", tmp_path / "a", hooks.url, extra=switches),
        Node("127.0.77.2", tmp_path / "b", hooks.url, extra=switches),
    )
    start_all(nodes)
    yield nodes
    nodes[0].stop()


def test_a_member_cannot_join_again_and_nobody_joins_itself(pair: tuple[Node, Node]) -> None:
    lone, _ = pair
    assert refused_to_join(lone, lone)
    a, b = joined(pair)
    assert refused_to_join(a, b)
    assert refused_to_join(b, a)


def test_a_retained_message_keeps_a_node_from_joining(pair: tuple[Node, Node]) -> None:
    a, b = pair
    client = Client(b, "keeps")
    client.publish("kept", b"1", retain=True)
    client.close()
    b.stop()
    b.start()  # and after a restart
    assert refused_to_join(b, a)


def test_a_dead_member_stops_nobody_when_the_cluster_shall_be_available(
    pair: tuple[Node, Node],
) -> None:
    a, b = joined(pair)
    b.stop(kill=True)
    eventually(lambda: a.members()[b.name] is False)
    assert connack(a.address, 4, "new") == 0
    assert connack(a.address, 5, "new") == 0
    client = Client(a, "phone")
    client.subscribe(("orders/+", 1))
    client.publish("orders/1", b"1")
    eventually(lambda: client.messages == [("orders/1", b"1")])
    client.close()
    b.start()


def test_a_dead_member_refuses_all_new_clients_when_it_shall_be_consistent(
    consistent: tuple[Node, Node],
) -> None:
    a, b = joined(consistent)
    assert connack(a.address, 4, "early") == 0
    b.stop(kill=True)
    eventually(lambda: a.members()[b.name] is False)
    assert connack(a.address, 4, "new") == 3
    assert connack(a.address, 5, "new") == 0x88
    assert connack(a.address, 4, "early") == 3
    # Its health says nothing of it: readiness of pods must not either.
    assert a.get("/health")[0] == 200
    assert a.get("/health/listeners_full_cluster")[0] == 503


def test_a_dead_member_leaves_messages_of_live_sessions_unacknowledged_when_consistent(
    consistent: tuple[Node, Node],
) -> None:
    a, b = joined(consistent)
    old, new = Client(a, "old"), connect(a, "new")
    codes: list[int] = []
    new.on_publish = lambda _c, _u, _mid, code, _p: codes.append(code.value)
    b.stop(kill=True)
    eventually(lambda: a.members()[b.name] is False)
    new.publish("orders/1", b"1", 1)
    eventually(lambda: codes == [0x83])
    with pytest.raises(AssertionError):
        old.publish("orders/1", b"1")
    assert old.subscribe(("orders/+", 1)) == [1]
    old.close()
    new.disconnect()
    new.loop_stop()


def test_a_member_with_an_empty_disk_comes_in_again_by_itself(pair: tuple[Node, Node]) -> None:
    a, b = joined(pair)
    b.stop(kill=True)
    b.lose_disk()
    b.start()
    both = {a.name: True, b.name: True}
    eventually(lambda: a.members() == both and b.members() == both)
    assert refused_to_join(b, a)


def test_a_node_that_left_is_alone_with_its_disk_and_joins_without_it(
    pair: tuple[Node, Node],
) -> None:
    a, b = joined(pair)
    Client(b, "phone", clean=False).close()
    a.api(f"cluster/leave?node={b.name}")
    a.api(f"cluster/leave?node={b.name}&--kill_sessions&--summary-interval=1&--timeout=50")
    eventually(b.exited)
    b.start()
    assert b.members() == {b.name: True}
    assert b.get("/health")[0] == 200, "health knows nothing of membership"
    assert refused_to_join(b, a)
    b.stop()
    b.lose_disk()
    b.start()
    joined(pair)


def test_sigterm_cuts_clients_without_a_word_to_the_hooks(node: Node, hooks: HookServer) -> None:
    """Why our pods have a preStop that closes the listeners first."""
    phone = Client(node, "phone")
    before = hooks.hooks("phone")
    node.stop()
    node.start()
    assert hooks.hooks("phone") == before
    phone.close()
