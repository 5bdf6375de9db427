"""Backends over HTTP: a ServiceAccount token as bearer token (RFC 6750)."""

from __future__ import annotations

import time

from aiohttp import web

from liveconnect.common.problem import ProblemError
from liveconnect.common.tokens import TokenRefusedError, Verifier


async def bearer(request: web.Request, backends: Verifier) -> str:
    """The ServiceAccount that the request's bearer token proves.

    Raises:
        ProblemError: 401 when it proves nobody.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    challenge = {"WWW-Authenticate": 'Bearer realm="liveconnect"'}
    if scheme.lower() != "bearer" or not token:
        detail = "present a ServiceAccount token (audience liveconnect) as bearer token"
        raise ProblemError(401, "Unauthorized", detail, challenge)
    try:
        identity = await backends.verify(token.strip(), time.time())
    except TokenRefusedError as refused:
        detail = f"the token is refused: {refused.refusal.value}"
        raise ProblemError(401, "Unauthorized", detail, challenge) from refused
    return identity.subject
