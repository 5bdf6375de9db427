"""A broker that says what it is told to: for answers that no real one can be made to give."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

CONNECT, PUBLISH, PUBREL, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 6, 8, 12, 14


@dataclass
class ScriptedBroker:
    """Accepts TCP connections; answers each packet by a rule."""

    connack: bytes = b"\x20\x03\x00\x00\x00"
    answer: Callable[[bytes], bytes | None] = lambda _packet: b""
    """None ends the connection."""
    packets: list[bytes] = field(default_factory=list)
    """Everything received, CONNECT included."""
    port: int = 0
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[ScriptedBroker]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in self._writers:
                writer.close()
            if self._tasks:
                await asyncio.wait(self._tasks)

    def kinds(self) -> list[int]:
        return [packet[0] >> 4 for packet in self.packets]

    def say(self, packet: bytes) -> None:
        """Send to the client that connected last."""
        self._writers[-1].write(packet)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        task = asyncio.current_task()
        assert task
        self._tasks.append(task)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                packet = await _read_packet(reader)
                self.packets.append(packet)
                kind = packet[0] >> 4
                reply = self.connack if kind == CONNECT else self.answer(packet)
                if reply is None:
                    writer.close()
                    return
                writer.write(reply)


async def _read_packet(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(2)
    length, shift = head[1] & 0x7F, 7
    while head[-1] & 0x80:
        head += await reader.readexactly(1)
        length |= (head[-1] & 0x7F) << shift
        shift += 7
    return head + await reader.readexactly(length)


def packet_id(publish: bytes) -> bytes:
    """Return the packet id of a short PUBLISH of QoS 1 or 2, or of a PUBREL."""
    if publish[0] >> 4 != PUBLISH:
        return publish[2:4]
    topic = int.from_bytes(publish[2:4], "big")
    return publish[4 + topic : 6 + topic]
