"""Paths of the presence API."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from liveconnect.common.problem import Problem
from liveconnect.common.server import Request, Response, Stream, require_get
from liveconnect.webhook.bearer import Bearers
from liveconnect.webhook.changestream import CONTENT_TYPE, ChangeStream
from liveconnect.webhook.clients import Clients
from liveconnect.webhook.queries import change_query, lookup, page_query

_CLIENT: Final = re.compile(r"/v1/clients/([^/]+)(/history)?")
_NO_STORE: Final = {"Cache-Control": "no-store"}


class ClientRoutes:
    """Handler of what readers ask."""

    def __init__(self, readers: Bearers, clients: Clients, stream: ChangeStream) -> None:
        self._readers = readers
        self._clients = clients
        self._stream = stream
        self._paths: dict[str, Callable[[Request], Awaitable[Response | Stream]]] = {
            "/v1/clients": self._page,
            "/v1/lookups": self._lookup,
            "/v1/counts": self._counts,
            "/v1/changes": self._changes,
        }

    def serves(self, path: str) -> bool:
        """Whether a path is one of these."""
        return path in self._paths or _CLIENT.fullmatch(path) is not None

    async def __call__(self, request: Request) -> Response | Stream:
        """Answer a reader.

        Raises:
            Problem: who asks may not, or the question is wrong.
        """
        if request.path == "/v1/lookups":
            if request.method != "POST":
                raise Problem(405, "lookups are posted", {"Allow": "POST"})
        else:
            require_get(request)
        await self._readers.admit(request.headers.get(b"authorization", b""))
        return await self._paths.get(request.path, self._client)(request)

    async def _client(self, request: Request) -> Response:
        match = _CLIENT.fullmatch(request.path)
        assert match is not None  # noqa: S101 - serves() was asked
        client_id, history = unquote(match[1]), match[2]
        if history:
            return _json(await self._clients.history(client_id))
        return _json(await self._clients.one(client_id))

    async def _page(self, request: Request) -> Response:
        return _json(await self._clients.page(page_query(request.query)))

    async def _lookup(self, request: Request) -> Response:
        return _json(await self._clients.many(lookup(request.body)))

    async def _counts(self, _request: Request) -> Response:
        return _json(await self._clients.counts())

    async def _changes(self, request: Request) -> Stream:
        selection, place = change_query(request.query)
        header = request.headers.get(b"last-event-id")
        if header is not None:
            place = header.decode("ascii", "replace")
        pieces = await self._stream.begin(selection, place)
        return Stream(pieces, CONTENT_TYPE, _NO_STORE)


def _json(view: Any) -> Response:
    return Response(msgspec.json.encode(view), headers=_NO_STORE)
