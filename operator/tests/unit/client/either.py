"""Both clients, asked in the same way."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import ssl
from collections.abc import Callable, Iterator
from typing import Any

from liveconnect.client import AsyncClient, Client, Endpoints, Patience, ProjectedToken

BOTH = [Client, AsyncClient]
#: Most tests speak plain HTTP: reading the public authorities for each would take most of the time.
_UNUSED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Either:
    """One of both; runs what has to be awaited."""

    def __init__(self, client: Client | AsyncClient, runner: asyncio.Runner) -> None:
        self.client = client
        self._runner = runner

    def __call__(self, ask: Callable[[Any], Any]) -> Any:
        answered = ask(self.client)
        return self._runner.run(answered) if inspect.iscoroutine(answered) else answered


@contextlib.contextmanager
def either(
    kind: type[Client | AsyncClient],
    endpoints: Endpoints,
    token: ProjectedToken,
    patience: Patience | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Either]:
    """Make a client of this kind, and close it."""
    with asyncio.Runner() as runner:
        made = Either(kind(endpoints, token=token, patience=patience, tls=tls or _UNUSED), runner)
        try:
            yield made
        finally:
            made(lambda client: client.close())
