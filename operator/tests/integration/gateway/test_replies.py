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
from liveconnect.gateway.replies import Reply
from tests.integration.gateway.scripted import CONNECT, SUBSCRIBE, ScriptedBroker
from tests.integration.gateway.test_session import TOKEN, seen

FILTER = "clients/+/replies/0/+"
ANSWER = b"clients/p/replies/0/1"
BODY = len(ANSWER).to_bytes(2, "big") + ANSWER + b"\x00\x07" + b"\x05\x09\x00\x02ab" + b"hi"
PUBLISHED = bytes([0x32, len(BODY)]) + BODY
PUBACK = b"\x40\x02\x00\x07"


def suback(packet: bytes, code: bytes = b"\x01") -> bytes:
    if packet[0] >> 4 != SUBSCRIBE:
        return b""
    return b"\x90\x04" + packet[2:4] + b"\x00" + code


@pytest.mark.parametrize("failing", [False, True])
async def test_acknowledges_what_is_written_down(tmp_path: Path, *, failing: bool) -> None:
    """Otherwise the connection ends, and the broker sends it again."""
    file, heard = OutboxFile(tmp_path / "outbox.db"), list[Reply]()
    statement = "INSERT INTO nowhere VALUES (1)" if failing else "DELETE FROM requests"

    def hear(reply: Reply) -> None:
        heard.append(reply)
        file.write(statement)

    broker = ScriptedBroker(answer=suback)
    async with broker.running():
        session = ReplySession("test", hear, file)
        await session.connect("127.0.0.1", broker.port, TOKEN, session_seconds=60)
        await session.hear(FILTER)
        (subscribe,) = (packet for packet in broker.packets if packet[0] >> 4 == SUBSCRIBE)
        assert subscribe[-1] == 0x21  # QoS 1, retained messages are not sent
        broker.say(PUBLISHED)
        if failing:
            assert "written down" in await asyncio.wait_for(session.ended, 5)
        else:
            await seen(lambda: PUBACK in broker.packets)
            session.disconnect()
        assert (PUBACK in broker.packets) is not failing
        assert heard == [Reply(ANSWER.decode(), b"hi", correlation=b"ab")]
    file.close()


@pytest.mark.parametrize("code", [b"\x80", b"\x87", b"\xa2"])
async def test_who_may_not_hear_is_told(tmp_path: Path, code: bytes) -> None:
    file = OutboxFile(tmp_path / "outbox.db")
    broker = ScriptedBroker(answer=lambda packet: suback(packet, code))
    async with broker.running():
        session = ReplySession("test", lambda _reply: None, file)
        await session.connect("127.0.0.1", broker.port, TOKEN)
        with pytest.raises(HearError, match="refused"):
            await session.hear(FILTER)
        assert not session.hears
        session.disconnect()
    file.close()


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
        link = ReplyLink(options, FILTER, file, lambda _reply: None)
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
