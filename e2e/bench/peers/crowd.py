"""Many devices in one process, each with a connection of its own, paho on one event loop.

Prints `ready` when all are subscribed to `clients/c<n>/inbox`. Then for each line that it reads,
once the next message has come to all of them: when that was (seconds since the epoch).

Usage: crowd.py PORT CLIENTS
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time

from liveconnect.common.mqttclient import StreamClient

_AT_ONCE = 200
_KEEPALIVE_SECONDS = 600


class Device(StreamClient):
    """One device."""

    def __init__(self, number: int, crowd: Crowd) -> None:
        super().__init__(f"c{number}")
        self._topic = f"clients/c{number}/inbox"
        self.subscribed = asyncio.get_running_loop().create_future()
        self.on_connect = self._subscribe
        self.on_subscribe = lambda *_: self.subscribed.set_result(None)
        self.on_message = lambda *_: crowd.note()

    def _subscribe(self, *_: object) -> None:
        self.subscribe(self._topic, 1)

    async def come(self, port: int) -> None:
        """Connect and subscribe."""
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self.stream, "127.0.0.1", port)
        self.connect("127.0.0.1", port, _KEEPALIVE_SECONDS, clean_start=True)
        await self.subscribed


class Crowd:
    """All of them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._missing = size
        self._done = asyncio.Event()

    def note(self) -> None:
        """Count a message that arrived."""
        self._missing -= 1
        if self._missing == 0:
            self._missing = self._size
            self._done.set()

    async def come(self, port: int) -> None:
        """Connect all."""
        devices = [Device(number, self) for number in range(self._size)]
        for begin in range(0, self._size, _AT_ONCE):
            await asyncio.gather(*(one.come(port) for one in devices[begin : begin + _AT_ONCE]))

    async def served(self) -> float:
        """Return when a message has come to each."""
        await self._done.wait()
        self._done.clear()
        return time.time()


async def main() -> None:
    """Serve standard input."""
    port, size = (int(text) for text in sys.argv[1:])
    crowd = Crowd(size)
    await crowd.come(port)
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    with contextlib.suppress(KeyboardInterrupt):
        while await loop.run_in_executor(None, sys.stdin.readline):
            print(await crowd.served(), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
