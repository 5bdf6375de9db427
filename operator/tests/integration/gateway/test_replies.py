"""The session that hears answers: acknowledged when written down, never deaf while replaced."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from liveconnect.gateway.adapters import credential, replylink
from liveconnect.gateway.adapters.outboxfile import OutboxFile
from liveconnect.gateway.adapters.paho import LinkOptions
from liveconnect.gateway.adapters.replylink import ReplyLink
from liveconnect.gateway.adapters.replysession import HearError, ReplySession
from liveconnect.gateway.adapters.requestfile import RequestFile
from liveconnect.gateway.outbox import OutboxFailedError
from liveconnect.gateway.replies import Reply
from tests.integration.gateway.scripted import CONNECT, SUBSCRIBE, ScriptedBroker
from tests.integration.gateway.test_session import TOKEN, seen

FILTER = "clients/+/replies/0/+"
ANSWER = b"clients/p/replies/0/1"
PUBACK = b"\x40\x02\x00\x07"


def suback(packet: bytes, code: bytes = b"\x01") -> bytes:
    if packet[0] >> 4 != SUBSCRIBE:
        return b""
    return b"\x90\x04" + packet[2:4] + b"\x00" + code


def publish(properties: bytes, packet_id: int = 7) -> bytes:
    body = len(ANSWER).to_bytes(2, "big") + ANSWER + packet_id.to_bytes(2, "big")
    body += bytes([len(properties)]) + properties + b"hi"
    return bytes([0x32, len(body)]) + body


async def at_once() -> None:
    """Nothing of what is heard has to be written down."""


@pytest.mark.parametrize("failing", [False, True])
async def test_acknowledges_what_is_written_down(*, failing: bool) -> None:
    """Otherwise the connection ends, and the broker sends it again."""
    heard = list[Reply]()
    settled = asyncio.get_running_loop().create_future()
    broker = ScriptedBroker(answer=suback)
    async with broker.running():
        session = ReplySession("test", heard.append, lambda: settled)
        await session.connect("127.0.0.1", broker.port, TOKEN, session_seconds=60)
        await session.hear(FILTER)
        (subscribe,) = (packet for packet in broker.packets if packet[0] >> 4 == SUBSCRIBE)
        assert subscribe[-1] == 0x21  # QoS 1, retained messages are not sent
        broker.say(publish(b"\x09\x00\x02ab"))
        await seen(lambda: heard == [Reply(ANSWER.decode(), b"hi", correlation=b"ab")])
        assert await round_trip(session, broker)
        assert PUBACK not in broker.packets
        if failing:
            settled.set_exception(OutboxFailedError("full"))
            assert "written down" in await asyncio.wait_for(session.ended, 5)
        else:
            settled.set_result(None)
            await seen(lambda: PUBACK in broker.packets)
            session.disconnect()
        assert (PUBACK in broker.packets) is not failing


async def round_trip(session: ReplySession, broker: ScriptedBroker) -> bool:
    """Return when the broker has read all that was sent before."""
    before = len(broker.packets)
    await session.hear(FILTER)
    return len(broker.packets) > before


@pytest.mark.parametrize(
    "properties",
    [
        b"\x26\x00\x01a\x00\x01\xff",  # a user property that is not UTF-8
        b"\x26\x00\x01a\x00\x03\xef\xbb\xbf",  # U+FEFF, which MQTT allows and paho does not
        b"\x7f",
    ],
)
async def test_what_cannot_be_read_is_dropped_and_not_sent_again_for_ever(
    properties: bytes,
) -> None:
    heard = list[Reply]()
    broker = ScriptedBroker(answer=suback)
    async with broker.running():
        session = ReplySession("test", heard.append, at_once)
        await session.connect("127.0.0.1", broker.port, TOKEN, session_seconds=60)
        await session.hear(FILTER)
        broker.say(publish(properties) + publish(b"", packet_id=8))
        await seen(lambda: PUBACK in broker.packets and b"\x40\x02\x00\x08" in broker.packets)
        assert [(one.topic, one.payload) for one in heard] == [("", b""), (ANSWER.decode(), b"hi")]
        assert session.alive
        session.disconnect()


@pytest.mark.parametrize("code", [b"\x80", b"\x87", b"\xa2"])
async def test_who_may_not_hear_is_told(code: bytes) -> None:
    broker = ScriptedBroker(answer=lambda packet: suback(packet, code))
    async with broker.running():
        session = ReplySession("test", lambda _reply: None, at_once)
        await session.connect("127.0.0.1", broker.port, TOKEN)
        with pytest.raises(HearError, match="refused"):
            await session.hear(FILTER)
        assert not session.hears
        session.disconnect()


async def test_says_why_it_is_deaf_and_is_never_so_while_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replylink, "_POLL_SECONDS", 0.02)
    monkeypatch.setattr(credential, "_renew_at", lambda _token: 0.0)
    (tmp_path / "token").write_text("first")
    refusing = True
    broker = ScriptedBroker(answer=lambda p: suback(p, b"\x87" if refusing else b"\x01"))
    broker.connack = b"\x20\x03\x01\x00\x00"  # the session is still there
    file = OutboxFile(tmp_path / "outbox.db")
    async with broker.running():
        options = LinkOptions("127.0.0.1", broker.port, tmp_path / "token", "pod", 9)
        link = ReplyLink(options, FILTER, RequestFile(file), lambda _reply: None)
        task = asyncio.create_task(link.run())
        await seen(lambda: "refused: Not authorized" in (link.why_deaf() or ""))
        refusing = False
        await seen(lambda: "learn of the subscription" in (link.why_deaf() or ""))
        await seen(lambda: link.why_deaf() is None)
        (tmp_path / "token").write_text("second")
        while broker.kinds().count(CONNECT) < 2:
            assert link.why_deaf() is None
            await asyncio.sleep(0)
        subscribed = broker.kinds().count(SUBSCRIBE)
        while broker.kinds().count(SUBSCRIBE) == subscribed:
            assert link.why_deaf() is None
            await asyncio.sleep(0)
        assert link.why_deaf() is None
        task.cancel()
        await asyncio.wait([task])
    file.close()
