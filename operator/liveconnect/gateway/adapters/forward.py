"""Hands a request to another of the gateway's pods, as it came."""

from __future__ import annotations

from typing import Final

import aiohttp
from yarl import URL

from liveconnect.api.operands import GatewayHttps
from liveconnect.common.logs import get_logger
from liveconnect.common.problem import Problem
from liveconnect.common.server import Request, Response
from liveconnect.gateway.adapters.clienttls import FollowedContext, known_by

OTHER_PODS: Final = "the gateway's other pods"
"""Whom this one asks, in words."""
FORWARDED: Final = b"liveconnect-forwarded"
"""Header of a request that another pod has handed over: it goes no further."""
_TIMEOUT: Final = aiohttp.ClientTimeout(total=75.0, sock_connect=2.0)
_KEPT: Final = frozenset({b"authorization", b"content-type", b"idempotency-key", b"prefer"})
_ANSWERED: Final = (
    "Retry-After", "WWW-Authenticate", "Accept-Post", "Allow", "Cache-Control", "Location",
    "Preference-Applied",
)  # fmt: skip
_LATER: Final = {"Retry-After": "2"}

_log = get_logger(__name__)


class Forwarder:
    """Knows where the other pods are."""

    def __init__(
        self, session: aiohttp.ClientSession, peers: str, https: GatewayHttps | None = None
    ) -> None:
        """Make it.

        Args:
            session: its owner closes it.
            peers: URL of a pod, with `{ordinal}`.
            https: how they are known where they are asked by HTTPS.
        """
        self._session = session
        self._peers = peers
        self._context = None if https is None else FollowedContext(https.peer, OTHER_PODS)
        self._host = None if https is None else https.host

    async def forward(self, request: Request, ordinal: int) -> Response:
        """Return the other pod's answer.

        Raises:
            Problem: 503 if it cannot be asked; the same request may be made again.
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
        context = known_by(self._context)
        if context is None:
            raise _away(sent=False)
        try:
            async with self._session.request(
                request.method,
                URL(url, encoded=True),
                data=request.body,
                headers=headers,
                timeout=_TIMEOUT,
                allow_redirects=False,
                ssl=context,
                server_hostname=self._host,
            ) as answer:
                kept = {name: answer.headers[name] for name in _ANSWERED if name in answer.headers}
                kind = answer.headers.get("Content-Type", "application/json")
                return Response(await answer.read(), answer.status, kind, kept)
        except aiohttp.ClientConnectorCertificateError as error:
            _log.warning("another pod's certificate is refused", reason=str(error))
            raise _away(sent=False) from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise _away(sent=False) from None
        except (aiohttp.ClientError, TimeoutError):
            raise _away(sent=True) from None


def _away(*, sent: bool) -> Problem:
    detail = "the pod that knows this Idempotency-Key or request is away; try again with the same"
    return Problem(503, detail, _LATER, {"sent": sent})
