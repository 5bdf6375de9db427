"""MQTT 5 properties reach receivers on every node (webhooks.md: VerneMQ passes them on)."""

from __future__ import annotations

import queue
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.contract.broker.node import Node, eventually
from tests.contract.broker.test_contract import joined


def connect(
    node: Node, client_id: str, *, seconds: int = 0, got: list[Any] | None = None
) -> mqtt.Client:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5)
    if got is not None:
        client.on_message = lambda _c, _u, message: got.append(message.payload)
    client.username_pw_set("token")
    kept = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own
    kept.SessionExpiryInterval = seconds
    client.connect(node.address, 1883, clean_start=not seconds, properties=kept)
    client.loop_start()
    eventually(client.is_connected)
    return client


def subscribe(client: mqtt.Client) -> queue.SimpleQueue[Any]:
    got: queue.SimpleQueue[Any] = queue.SimpleQueue()
    granted: list[Any] = []
    client.on_message = lambda _c, _u, message: got.put(message.properties)
    client.on_subscribe = lambda _c, _u, _m, codes, _p: granted.extend(codes)
    client.subscribe("requests/#", 1)
    eventually(lambda: bool(granted))
    return got


def ask(client: mqtt.Client) -> None:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's own
    properties.ResponseTopic = "replies/1"
    properties.CorrelationData = b"\x00\xff1"
    properties.ContentType = "text/plain"
    properties.UserProperty = [("a", "1"), ("a", "2")]
    properties.MessageExpiryInterval = 30
    client.publish("requests/1", b"?", 1, properties=properties).wait_for_publish(5)


def check(properties: Any) -> None:
    assert properties.ResponseTopic == "replies/1"
    assert properties.CorrelationData == b"\x00\xff1"
    assert properties.ContentType == "text/plain"
    assert properties.UserProperty == [("a", "1"), ("a", "2")]
    assert 25 <= properties.MessageExpiryInterval <= 30


def test_receivers_see_them_on_their_node_and_on_the_other(pair: tuple[Node, Node]) -> None:
    a, b = joined(pair)
    near, far, sender = connect(a, "near"), connect(b, "far"), connect(a, "sender")
    inboxes = [subscribe(near), subscribe(far)]
    ask(sender)
    for inbox in inboxes:
        check(inbox.get(timeout=5))
    for client in (near, far, sender):
        client.disconnect()
        client.loop_stop()


def test_they_wait_with_their_message_and_move_with_its_session(pair: tuple[Node, Node]) -> None:
    a, b = joined(pair)
    sleeper, sender = connect(b, "sleeper", seconds=60), connect(a, "sender")
    subscribe(sleeper)
    sleeper.disconnect()
    sleeper.loop_stop()
    ask(sender)
    awake = mqtt.Client(CallbackAPIVersion.VERSION2, "sleeper", protocol=mqtt.MQTTv5)
    got: queue.SimpleQueue[Any] = queue.SimpleQueue()
    awake.on_message = lambda _c, _u, message: got.put(message.properties)
    awake.username_pw_set("token")
    kept = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own
    kept.SessionExpiryInterval = 60
    awake.connect(a.address, 1883, clean_start=False, properties=kept)
    awake.loop_start()
    check(got.get(timeout=5))
    for client in (awake, sender):
        client.disconnect()
        client.loop_stop()
