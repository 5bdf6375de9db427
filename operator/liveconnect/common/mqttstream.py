"""A TCP connection of the event loop that paho can use as its socket.

paho reads a packet in three calls of `recv` and writes it in one of `send`. On a socket each is a
system call; here they are reads of a buffer and one write for all packets of a turn of the loop.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final, cast

_HIGH_WATER_BYTES: Final = 4 * 1024 * 1024
"""More than this waiting to be sent, and the broker is too slow to be given more."""

_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)
"""Linux has it."""


class Stream(asyncio.Protocol):
    """Both ends of a connection: a protocol for the event loop, a socket for paho."""

    def __init__(self, on_readable: Callable[[], None]) -> None:
        """Make a stream.

        Args:
            on_readable: called when there is something to read, the end of it included.
        """
        self._on_readable = on_readable
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._read = 0
        self._sent: list[bytes | bytearray] = []
        self._ended = False
        self._socket: socket.socket | None = None
        self.writable = True
        """Whether the peer keeps up with what it is sent."""

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's is one in all but name
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        self._socket = transport.get_extra_info("socket")

    def data_received(self, data: bytes) -> None:
        """Take what arrived."""
        del self._received[: self._read]
        self._read = 0
        self._received += data
        self._on_readable()
        self._acknowledge_at_once()

    def _acknowledge_at_once(self) -> None:
        """Let the kernel acknowledge what arrived, now.

        A broker that leaves Nagle's algorithm on (mosquitto's default) holds its next small packet
        back until then, and Linux may take 40 ms; the setting does not last.
        """
        if self._socket is not None and _QUICKACK is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Note the end; paho learns of it by reading nothing."""
        self._ended = True
        self._transport = None
        self._on_readable()

    def pause_writing(self) -> None:
        """Note that the peer does not keep up."""
        self.writable = False

    def resume_writing(self) -> None:
        """Note that it does again."""
        self.writable = True

    # --- paho's socket

    def recv(self, buffer_size: int) -> bytes:
        """Return up to so many bytes of what arrived, nothing at its end.

        Raises:
            BlockingIOError: nothing more has arrived yet.
        """
        begin = self._read
        data = bytes(self._received[begin : begin + buffer_size])
        if not data and not self._ended:
            raise BlockingIOError
        self._read = begin + len(data)
        return data

    def send(self, buffer: bytes | bytearray) -> int:
        """Take bytes to be sent by the next `flush`.

        Raises:
            ConnectionResetError: the connection has ended.
        """
        if self._transport is None:
            raise ConnectionResetError
        self._sent.append(buffer)
        return len(buffer)

    def close(self) -> None:
        """Close when everything is sent."""
        self.flush()
        if self._transport is not None:
            self._transport.close()

    def fileno(self) -> int:
        """Return no file descriptor: nobody shall wait for this one but the event loop."""
        return -1

    def setblocking(self, flag: bool) -> None:
        """Accept that it does not block."""

    # --- the adapter's side

    @property
    def unread(self) -> int:
        """Bytes that arrived and were not read."""
        return len(self._received) - self._read

    def flush(self) -> None:
        """Hand what was sent to the connection."""
        if self._sent and self._transport is not None:
            self._transport.write(b"".join(self._sent))
        self._sent.clear()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()
