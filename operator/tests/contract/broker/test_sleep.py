"""Sessions and their messages outlast a stop of all nodes (operations.md)."""

from __future__ import annotations

from tests.contract.broker.node import Node, eventually, start_all
from tests.contract.broker.test_contract import joined
from tests.contract.broker.test_properties import connect, subscribe


def test_messages_of_stored_sessions_outlast_a_stop_of_all_nodes(pair: tuple[Node, Node]) -> None:
    a, b = joined(pair)
    away, sender = connect(b, "away", seconds=600), connect(a, "sender")
    subscribe(away)
    away.disconnect()
    away.loop_stop()
    eventually(lambda: b.api("session/show?--client_id&--is_online=false")["table"])
    for number in range(20):
        sender.publish("requests/1", str(number), 1).wait_for_publish(5)
    sender.loop_stop()
    for node in (a, b):
        node.stop()
    start_all((a, b))
    eventually(lambda: all(len(n.members()) == 2 and all(n.members().values()) for n in (a, b)))
    got: list[object] = []
    back = connect(a, "away", seconds=600, got=got)
    eventually(lambda: len(got) == 20)
    back.loop_stop()
