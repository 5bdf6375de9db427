"""One MQTT session: what the broker's answers mean for the caller."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from liveconnect.common.logs import Redacted
from liveconnect.gateway.adapters.session import ConnectError, Session
from liveconnect.gateway.messages import Message
from liveconnect.gateway.publishing import (
    BusyError,
    LinkDownError,
    NotTakenError,
    PublishError,
    RefusedError,
    ShareError,
)
from tests.integration.gateway.scripted import (
    DISCONNECT,
    PUBLISH,
    PUBREL,
    ScriptedBroker,
    packet_id,
)

TOKEN = Redacted("own-token")
WINDOW = 4


def message(qos: int = 1, payload: bytes = b"x", *, retain: bool = False) -> Message:
    return Message("orders/1", payload, qos, retain)


def qos1(packet: bytes, reason: bytes = b"") -> bytes:
    body = packet_id(packet) + reason
    return bytes([0x40, len(body)]) + body


def on_publish(reply: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda packet: reply(packet) if packet[0] >> 4 == PUBLISH else b""


@contextlib.asynccontextmanager
async def connected(broker: ScriptedBroker) -> AsyncIterator[Session]:
    async with broker.running():
        session = Session("test", WINDOW)
        await session.connect("127.0.0.1", broker.port, TOKEN)
        yield session
        await session.retire(0.1)


async def seen(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - bytes arrive; nobody says so
            await asyncio.sleep(0.005)


async def test_presents_the_token_as_user_name() -> None:
    broker = ScriptedBroker()
    async with connected(broker):
        assert b"own-token" in broker.packets[0]
        assert broker.packets[0][8] == 5  # the version of MQTT
        assert broker.packets[0][9] == 0x82  # user name, clean start; no password, no will


@pytest.mark.parametrize("reason", [b"", b"\x00", b"\x00\x00", b"\x10", b"\x10\x00"])
async def test_every_kind_of_success(reason: bytes) -> None:
    """0x10: no subscriber matches; the broker has taken the message all the same."""
    async with connected(ScriptedBroker(answer=on_publish(lambda p: qos1(p, reason)))) as session:
        await asyncio.wait_for(session.publish(message()), 5)
        assert session.waiting == 0


@pytest.mark.parametrize("reason", [b"\x80", b"\x87\x00", b"\x97", b"\x99\x00"])
async def test_refusals_of_qos_1(reason: bytes) -> None:
    async with connected(ScriptedBroker(answer=on_publish(lambda p: qos1(p, reason)))) as session:
        with pytest.raises(RefusedError) as caught:
            await asyncio.wait_for(session.publish(message()), 5)
        assert caught.value.code == reason[0]
        assert session.alive


async def test_refusal_of_qos_2_ends_with_the_pubrec() -> None:
    """As VerneMQ refuses; no PUBREL may follow."""

    def refuse(packet: bytes) -> bytes:
        return b"\x50\x04" + packet_id(packet) + b"\x87\x00"

    broker = ScriptedBroker(answer=on_publish(refuse))
    async with connected(broker) as session:
        with pytest.raises(RefusedError) as caught:
            await asyncio.wait_for(session.publish(message(2)), 5)
        assert caught.value.code == 0x87
        assert PUBREL not in broker.kinds()


async def test_qos_2_is_done_with_its_pubcomp_only() -> None:
    broker = ScriptedBroker(answer=on_publish(lambda p: b"\x50\x02" + packet_id(p)))
    async with connected(broker) as session:
        done = session.publish(message(2))
        await seen(lambda: PUBREL in broker.kinds())
        assert not done.done()
        broker.say(b"\x70\x02" + packet_id(broker.packets[-1]))
        await asyncio.wait_for(done, 5)


async def test_another_message_s_acknowledgement_is_not_ours() -> None:
    broker = ScriptedBroker(answer=on_publish(lambda _: b"\x40\x02\x7f\x7f"))
    async with connected(broker) as session:
        done = session.publish(message())
        await seen(lambda: PUBLISH in broker.kinds())
        await asyncio.sleep(0.05)  # a proof of nothing: time for the false acknowledgement
        assert not done.done()


async def test_written_qos_0_is_nobody_s_acknowledgement() -> None:
    """Paho reports QoS 0 with a packet id from the same counter, which wraps around."""
    broker = ScriptedBroker()
    async with connected(broker) as session:
        waiting = session.publish(message(1))
        session._client._last_mid -= 1  # as after 65535 further messages
        assert session.publish(message(0)).done()
        await seen(lambda: broker.kinds().count(PUBLISH) == 2)
        assert not waiting.done()


async def test_packet_id_in_use_is_skipped() -> None:
    broker = ScriptedBroker()
    async with connected(broker) as session:
        first = session.publish(message())
        session._client._last_mid -= 1
        second = session.publish(message())
        await seen(lambda: broker.kinds().count(PUBLISH) == 2)
        assert len({packet_id(p) for p in broker.packets[1:]}) == 2
        for packet in broker.packets[1:]:
            broker.say(qos1(packet))
        await asyncio.wait_for(asyncio.gather(first, second), 5)


async def test_receive_maximum_is_kept_and_the_rest_waits() -> None:
    broker = ScriptedBroker(connack=b"\x20\x06\x00\x00\x03\x21\x00\x02")
    async with connected(broker) as session:
        futures = [session.publish(message(payload=b"%d" % n)) for n in range(WINDOW)]
        with pytest.raises(BusyError):
            session.publish(message())
        await seen(lambda: broker.kinds().count(PUBLISH) == 2)
        broker.say(qos1(broker.packets[1]))
        await asyncio.wait_for(futures[0], 5)
        await seen(lambda: broker.kinds().count(PUBLISH) == 3)
        broker.say(qos1(broker.packets[2]) + qos1(broker.packets[3]))
        await seen(lambda: broker.kinds().count(PUBLISH) == 4)
        broker.say(qos1(broker.packets[4]))
        await asyncio.wait_for(asyncio.gather(*futures), 5)
        assert [packet[-1:] for packet in broker.packets[1:]] == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize(
    ("properties", "refused", "taken", "field"),
    [
        (b"\x24\x01", message(2), message(1), "qos"),
        (b"\x24\x00", message(1), message(0), "qos"),
        (b"\x25\x00", message(retain=True), message(), "retain"),
        (b"\x27\x00\x00\x00\x40", message(payload=b"x" * 60), message(), "payload"),
    ],
)
async def test_what_the_broker_does_not_take_is_never_sent(
    properties: bytes, refused: Message, taken: Message, field: str
) -> None:
    body = b"\x00\x00" + bytes([len(properties)]) + properties
    broker = ScriptedBroker(bytes([0x20, len(body)]) + body, on_publish(qos1))
    async with connected(broker) as session:
        with pytest.raises(NotTakenError) as caught:
            session.publish(refused)
        assert caught.value.field == field
        await asyncio.wait_for(session.publish(taken), 5)


async def test_end_of_the_connection_fails_what_waits() -> None:
    broker = ScriptedBroker()
    async with connected(broker) as session:
        done = session.publish(message())
        await seen(lambda: PUBLISH in broker.kinds())
        broker.say(b"\xe0\x02\x98\x00")  # DISCONNECT: administrative action
        with pytest.raises(LinkDownError) as caught:
            await asyncio.wait_for(done, 5)
        assert caught.value.sent
        assert await session.ended == "Administrative action"
        with pytest.raises(PublishError) as then:
            session.publish(message())
        assert not then.value.sent


@pytest.mark.parametrize(
    ("connack", "why"),
    [
        (b"\x20\x03\x00\x86\x00", "Bad user name or password"),
        (b"\x20\x03\x00\x87\x00", "Not authorized"),
        (b"\x20\x03\x00\x89\x00", "Server busy"),
        (b"\x00\x00\x00", "."),
    ],
)
async def test_refused_connection(connack: bytes, why: str) -> None:
    async with ScriptedBroker(connack).running() as broker:
        session = Session("test", WINDOW)
        with pytest.raises(ConnectError, match=why):
            await session.connect("127.0.0.1", broker.port, TOKEN)
        assert not session.alive


async def test_nobody_listens() -> None:
    async with ScriptedBroker().running() as broker:
        port = broker.port
    with pytest.raises(ConnectError):
        await Session("test", WINDOW).connect("127.0.0.1", port, TOKEN)


async def test_ping_response_behind_an_acknowledgement_is_read() -> None:
    """Paho reads as many packets at a time as messages wait, and may leave the last one."""
    broker = ScriptedBroker(answer=on_publish(lambda p: qos1(p) + b"\xd0\x00"))
    async with connected(broker) as session:
        await asyncio.wait_for(session.publish(message()), 5)
        await seen(lambda: session._stream.unread == 0)


async def test_retiring_waits_for_acknowledgements_then_disconnects() -> None:
    broker = ScriptedBroker()
    async with connected(broker) as session:
        done = session.publish(message())
        retiring = asyncio.create_task(session.retire(5))
        await seen(lambda: PUBLISH in broker.kinds())
        assert DISCONNECT not in broker.kinds()
        broker.say(qos1(broker.packets[-1]))
        await retiring
        assert done.done()
        await seen(lambda: DISCONNECT in broker.kinds())


async def test_payloads_that_wait_are_bounded() -> None:
    broker = ScriptedBroker()
    async with connected(broker) as session:
        big = b"x" * (12 * 1024 * 1024)
        session.publish(message(payload=big))
        session.publish(message(payload=big))
        with pytest.raises(BusyError):
            session.publish(message(payload=big))


async def test_a_greedy_caller_leaves_others_their_share() -> None:
    broker = ScriptedBroker()
    async with connected(broker) as session:
        session.publish(message(), "polite")
        session.publish(message(), "greedy")
        session.publish(message(), "greedy")
        with pytest.raises(ShareError):
            session.publish(message(), "greedy")
        session.publish(message(), "polite")
        with pytest.raises(BusyError):
            session.publish(message(), "somebody else")
