"""Which publisher node a connection goes to."""

from __future__ import annotations

from liveconnect.gateway.adapters.nodes import chosen, node_address

NODES = ["10.0.0.3", "10.0.0.1", "10.0.0.2"]


def test_pods_take_nodes_in_turn() -> None:
    assert [chosen(NODES, pod) for pod in range(4)] == [
        "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.1",
    ]  # fmt: skip


def test_next_node_after_a_failure() -> None:
    assert {chosen(NODES, 1 + failures) for failures in range(3)} == set(NODES)


def test_order_of_the_answer_does_not_matter() -> None:
    assert chosen(NODES[::-1], 1) == chosen([*NODES, *NODES], 1)


async def test_resolved() -> None:
    assert await node_address("127.0.0.1", "elsewhere", 5) == "127.0.0.1"
    assert await node_address("", "elsewhere", 5) == "elsewhere"
    assert await node_address("no.such.host.invalid", "elsewhere", 5) == "elsewhere"
