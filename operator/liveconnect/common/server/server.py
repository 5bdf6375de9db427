"""The listening side."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Final

from liveconnect.common.logs import get_logger
from liveconnect.common.process import Draining
from liveconnect.common.server.connection import Connection, Limits
from liveconnect.common.server.message import Handler
from liveconnect.common.settings import ServiceSettings

_BACKLOG: Final = 2048
_SWEEP_SECONDS: Final = 2.0
_HANDSHAKE_SECONDS: Final = 10.0
"""As long as a request may take: until then the sweeper knows nothing of a connection."""

_log = get_logger(__name__)


class HttpServer:
    """Serves a handler on one port."""

    def __init__(self, handler: Handler, draining: Draining, limits: Limits | None = None) -> None:
        self._handler = handler
        self._draining = draining
        self._limits = limits or Limits()
        self._connections: set[Connection] = set()

    async def serve(
        self,
        settings: ServiceSettings,
        port: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Serve on `port`, or on that of the settings, until told to drain, then drain.

        While draining, every answer closes its connection: the brokers keep connections open and
        would otherwise meet a closed one, which is a refusal to a client.
        """
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self._handler, self._draining, self._limits, self._connections),
            settings.host,
            settings.port if port is None else port,
            backlog=_BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else _HANDSHAKE_SECONDS,
        )
        addresses = [list(socket.getsockname()[:2]) for socket in server.sockets]
        _log.info("listening", address=addresses)
        sweeper = asyncio.create_task(self._sweep())
        try:
            await self._draining.wait()
            await asyncio.sleep(settings.drain_delay_seconds)
        finally:
            server.close()
            sweeper.cancel()
            await self._close_connections(settings.drain_timeout_seconds)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = time.monotonic()
            for connection in tuple(self._connections):
                connection.check_time(now)

    async def _close_connections(self, within: float) -> None:
        deadline = time.monotonic() + within
        while self._connections:
            late = time.monotonic() > deadline
            for connection in tuple(self._connections):
                if late or not connection.busy:
                    connection.close()
            if late:
                return
            await asyncio.sleep(0.02)
