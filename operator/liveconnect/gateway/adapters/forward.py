"""Hands a request to another of the gateway's pods, as it came."""

from __future__ import annotations

from typing import Final

import aiohttp
from yarl import URL

from liveconnect.common.problem import Problem
from liveconnect.common.server import Request, Response

FORWARDED: Final = b"liveconnect-forwarded"
"""Header of a request that another pod has handed over: it goes no further."""
_TIMEOUT: Final = aiohttp.ClientTimeout(total=60.0, sock_connect=2.0)
_KEPT: Final = frozenset({b"authorization", b"content-type", b"idempotency-key"})
_ANSWERED: Final = ("Retry-After", "WWW-Authenticate", "Accept-Post", "Allow")
_LATER: Final = {"Retry-After": "2"}


class Forwarder:
    """Knows where the other pods are."""

    def __init__(self, session: aiohttp.ClientSession, peers: str) -> None:
        """Make it.

        Args:
            session: its owner closes it.
            peers: URL of a pod, with `{ordinal}`.
        """
        self._session = session
        self._peers = peers

    async def forward(self, request: Request, ordinal: int) -> Response:
        """Return the other pod's answer.

        Raises:
            Problem: 503 if it cannot be asked; the same key may be tried again.
        """
        url = self._peers.replace("{ordinal}", str(ordinal)) + request.path
        if request.query:
            url += "?" + request.query.decode("latin-1")
        headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in request.headers.items()
            if name in _KEPT or name.startswith(b"ce-")
        }
        headers[FORWARDED.decode()] = "1"
        try:
            async with self._session.request(
                request.method,
                URL(url, encoded=True),
                data=request.body,
                headers=headers,
                timeout=_TIMEOUT,
                allow_redirects=False,
            ) as answer:
                kept = {name: answer.headers[name] for name in _ANSWERED if name in answer.headers}
                kind = answer.headers.get("Content-Type", "application/json")
                return Response(await answer.read(), answer.status, kind, kept)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise _away(sent=False) from None
        except (aiohttp.ClientError, TimeoutError):
            raise _away(sent=True) from None


def _away(*, sent: bool) -> Problem:
    detail = "the pod that knows this Idempotency-Key is away; try again with the same key"
    return Problem(503, detail, _LATER, {"sent": sent})
