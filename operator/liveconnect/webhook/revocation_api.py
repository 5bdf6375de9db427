"""`/v1/revocations`: revoke, list, withdraw; for backends that the cluster object names."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from liveconnect.common.logs import get_logger
from liveconnect.common.problem import Problem
from liveconnect.common.server import Request, Response
from liveconnect.webhook.adapters.revocation_log import RevocationLog
from liveconnect.webhook.adapters.store_connection import StoreUnavailableError
from liveconnect.webhook.bearer import Bearers
from liveconnect.webhook.enforcement import Enforcement
from liveconnect.webhook.revocations import Kind, OrderError, Revocation, parse_order

PATH: Final = "/v1/revocations"
_ONE: Final = re.compile(rf"{PATH}/([0-9]{{1,20}}-[0-9]{{1,20}})")
_MAX_LISTED: Final = 1000
_NO_STORE: Final = {"Cache-Control": "no-store"}

_log = get_logger(__name__)


class RevocationApi:
    """Answers the requests."""

    def __init__(
        self,
        bearers: Bearers,
        log: RevocationLog,
        enforcement: Enforcement,
        clock: Callable[[], float],
    ) -> None:
        self._bearers = bearers
        self._log = log
        self._enforcement = enforcement
        self._clock = clock

    async def answer(self, request: Request) -> Response:
        """Answer a request below `/v1/revocations`.

        Raises:
            Problem: 400 for a bad order, 401 and 403 for who may not, 404, 405; 503 if the store
                does not answer: then the revocation may be in force, or not; ask again.
        """
        by = await self._bearers.admit(request.headers.get(b"authorization", b""))
        try:
            if request.path == PATH:
                return await self._all(request, by)
            return await self._single(request, by)
        except StoreUnavailableError:
            raise Problem(503, "the store does not answer", {"Retry-After": "2"}) from None

    async def _all(self, request: Request, by: str) -> Response:
        if request.method == "POST":
            return await self._revoke(request, by)
        if request.method != "GET":
            raise Problem(405, "GET and POST are served here", {"Allow": "GET, POST"})
        newest = sorted(self._enforcement.revoked, key=lambda one: one.at, reverse=True)
        listed = [_view(one) for one in newest[:_MAX_LISTED]]
        content = {"revocations": listed, "total": len(newest)}
        return Response(msgspec.json.encode(content), headers=_NO_STORE)

    async def _revoke(self, request: Request, by: str) -> Response:
        now = self._clock()
        try:
            wanted = parse_order(request.body).revocation(by, now)
        except OrderError as error:
            raise Problem(400, str(error)) from None
        revocation = await self._log.append(wanted, now)
        self._enforcement.wake()
        _log.info(
            "revoked",
            id=revocation.id,
            kind=revocation.kind.value,
            # Somebody may take a token for its id.
            value="" if revocation.kind is Kind.TOKEN else revocation.value,
            issuer=revocation.issuer,
            reason=revocation.reason,
            by=by,
        )
        headers = {**_NO_STORE, "Location": f"{PATH}/{revocation.id}"}
        return Response(msgspec.json.encode(_view(revocation)), 201, headers=headers)

    async def _single(self, request: Request, by: str) -> Response:
        match = _ONE.fullmatch(request.path)
        revocation = None if match is None else self._enforcement.revoked.get(match[1])
        if revocation is None:
            raise Problem(404, "no such revocation is in force")
        if request.method == "GET":
            return Response(msgspec.json.encode(_view(revocation)), headers=_NO_STORE)
        if request.method != "DELETE":
            raise Problem(405, "GET and DELETE are served here", {"Allow": "GET, DELETE"})
        await self._log.withdraw(revocation.id, self._clock())
        self._enforcement.wake()
        _log.info("revocation withdrawn", id=revocation.id, by=by)
        return Response(b"", 204, headers=_NO_STORE)


def _view(revocation: Revocation) -> dict[str, Any]:
    return {
        "id": revocation.id,
        revocation.kind.value: revocation.value,
        "issuer": revocation.issuer,
        "revokedAt": _rfc3339(revocation.at),
        "expiresAt": _rfc3339(revocation.until),
        "reason": revocation.reason,
        "by": revocation.by,
    }


def _rfc3339(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
