"""Errors of our HTTP APIs as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from liveconnect.common.logs import get_logger

CONTENT_TYPE: Final = "application/problem+json"

_log = get_logger(__name__)


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """An answer that is an error. Raise it from a handler; the middleware answers with it."""

    status: int
    """HTTP status."""
    detail: str = ""
    """What is wrong with this request, for people; never quotes a secret."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers, such as `Retry-After` or `WWW-Authenticate`."""
    extra: Mapping[str, object] = field(default_factory=dict)
    """Further members of the body, such as a machine-readable `reason`."""

    def body(self) -> bytes:
        """Return the JSON document."""
        document: dict[str, object] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
        }
        if self.detail:
            document["detail"] = self.detail
        return msgspec.json.encode({**document, **self.extra})


def problem_response(problem: Problem) -> web.Response:
    """Return the answer that says a problem."""
    return web.Response(
        status=problem.status,
        body=problem.body(),
        content_type=CONTENT_TYPE,
        headers=problem.headers,
    )


def _of_http_error(error: web.HTTPException) -> Problem:
    kept = {
        name: value
        for name, value in error.headers.items()
        if name.lower() not in {"content-type", "content-length"}
    }
    return Problem(error.status, error.reason, kept)


@web.middleware
async def problem_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error of a handler into a problem document; a bug becomes a logged 500."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem_response(problem)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return problem_response(_of_http_error(error))
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        detail = "the body is not valid JSON" if isinstance(error, msgspec.DecodeError) else ""
        return problem_response(Problem(400, detail or "the body is not valid UTF-8"))
    except (asyncio.CancelledError, ConnectionError):
        raise
    except Exception:  # noqa: BLE001 - a bug in a handler is a 500, not the end of the process
        _log.exception("a request failed", method=request.method, path=request.path)
        return problem_response(Problem(500, "internal error"))
