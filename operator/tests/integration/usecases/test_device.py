"""An app's connection on a bad network."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from paho.mqtt.client import MQTTMessage

from e2e.usecases.device import Backoff, Device, Link
from liveconnect.client import Client, Message
from tests.integration.gateway.broker import Broker
from tests.integration.gateway.scripted import ScriptedBroker
from tests.integration.usecases.conftest import MakeDevice, start
from tests.integration.webhook.world import eventually

_INBOX = "clients/{}/inbox"


class Inbox:
    """What a device received."""

    def __init__(self, device: Device) -> None:
        self.texts: list[str] = []
        device.listen(_INBOX.format(device.client_id), self._take)

    def _take(self, message: MQTTMessage) -> None:
        self.texts.append(message.payload.decode())


def tell(liveconnect: Client, client_id: str, text: str) -> None:
    liveconnect.publish(Message(client_id=client_id, payload=text))


def test_what_is_sent_while_it_is_away_arrives(liveconnect: Client, device: MakeDevice) -> None:
    phone = device("away-1")
    inbox = Inbox(phone)
    start(phone)
    phone.stop()
    for number in range(20):
        tell(liveconnect, "away-1", str(number))
    again = device("away-1")
    rest = Inbox(again)
    start(again)
    eventually(lambda: len(rest.texts) == 20)
    assert rest.texts == [str(number) for number in range(20)]
    assert inbox.texts == []


def test_it_comes_back_after_a_lost_connection(liveconnect: Client, device: MakeDevice) -> None:
    phone = device("tunnel-1")
    inbox = Inbox(phone)
    start(phone)
    for number in range(5):
        phone.drop_network()
        tell(liveconnect, "tunnel-1", str(number))
        eventually(lambda number=number: str(number) in inbox.texts)  # type: ignore[misc]  # mypy cannot infer a lambda's default
    assert phone.connects >= 5
    assert list(dict.fromkeys(inbox.texts)) == [str(number) for number in range(5)]


@pytest.fixture
def own_broker(tmp_path: Path) -> Broker:
    return Broker(tmp_path)


def test_every_connection_has_a_new_token_and_pauses_grow(own_broker: Broker) -> None:
    tokens: list[str] = []

    def token() -> str:
        tokens.append(f"token-{len(tokens)}")
        return tokens[-1]

    link = Link("127.0.0.1", own_broker.port, backoff=Backoff(0.02, 0.1))
    phone = Device("early-1", token, link)
    inbox = Inbox(phone)
    phone.start()
    try:
        # Nobody listens yet.
        eventually(lambda: phone.failures >= 5)
        # What is said now is said later.
        phone.publish(_INBOX.format("early-1"), "to myself")
        own_broker.start()
        eventually(lambda: phone.listening)
        assert phone.failures == 0
        eventually(lambda: inbox.texts == ["to myself"])
        own_broker.stop()
        eventually(lambda: phone.failures >= 2)
        own_broker.start()
        eventually(lambda: phone.listening)
        assert phone.connects == 2
        assert len(tokens) == len(set(tokens)) >= 8
    finally:
        phone.stop()
        own_broker.stop()


async def test_what_it_asks_of_the_broker() -> None:
    """CONNECT of MQTT 5: a short keep-alive, no clean start, and a session that is kept."""
    async with ScriptedBroker().running() as broker:
        link = Link("127.0.0.1", broker.port, keepalive_seconds=25, session_expiry_seconds=3600)
        phone = Device("asks-1", lambda: "token-1", link)
        phone.start()
        await asyncio.to_thread(eventually, lambda: phone.listening)
        await asyncio.to_thread(phone.stop)
    _, _, connect = broker.packets[0].partition(b"\x00\x04MQTT\x05")
    flags, keepalive = connect[0], int.from_bytes(connect[1:3], "big")
    assert (flags & 0x02, keepalive) == (0, 25)
    assert b"\x11" + (3600).to_bytes(4, "big") in connect, "session expiry interval"
    assert connect.endswith(b"\x00\x06asks-1\x00\x07token-1")


async def test_a_refusal_is_no_reason_to_hurry() -> None:
    """Who is refused comes again, ever more rarely, and can be stopped."""
    async with ScriptedBroker(connack=b"\x20\x03\x00\x86\x00").running() as broker:
        link = Link("127.0.0.1", broker.port, backoff=Backoff(0.01, 0.05))
        phone = Device("refused-1", lambda: "x", link)
        phone.start()
        await asyncio.to_thread(eventually, lambda: phone.failures >= 4)
        await asyncio.to_thread(phone.stop)
        assert phone.connects == 0
        assert not phone.listening


async def test_a_session_that_was_taken_over_is_not_fought_for() -> None:
    async with ScriptedBroker().running() as broker:
        link = Link("127.0.0.1", broker.port, backoff=Backoff(0.01, 600))
        phone = Device("twin-1", lambda: "x", link)
        phone.start()
        await asyncio.to_thread(eventually, lambda: phone.listening)
        broker.say(b"\xe0\x02\x8e\x00")  # DISCONNECT, session taken over
        await asyncio.to_thread(eventually, lambda: phone.taken_over and not phone.listening)
        # A pause of minutes, and still it ends at once.
        await asyncio.to_thread(phone.stop)
        assert phone.connects == 1
