"""Errors as `application/problem+json` (RFC 9457); whatever a client sends, the answer is a 4xx."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

_LOG = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ProblemError(Exception):
    """An answer that is an error: status, title, detail."""

    def __init__(
        self, status: int, title: str, detail: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = headers or {}


def response(
    status: int, title: str, detail: str, headers: dict[str, str] | None = None
) -> web.Response:
    """A problem as an HTTP answer."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return web.Response(
        status=status,
        text=json.dumps(body),
        content_type="application/problem+json",
        headers=headers,
    )


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn errors into problems; what nobody expected is logged and says nothing outside."""
    try:
        return await handler(request)
    except ProblemError as problem:
        return response(problem.status, problem.title, problem.detail, problem.headers)
    except web.HTTPException as error:
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return response(error.status, error.reason, error.reason, allow)
    except (UnicodeDecodeError, web.PayloadAccessError) as error:
        return response(400, "Bad request", f"the body cannot be read: {type(error).__name__}")
    except Exception:
        _LOG.exception("unexpected error at %s", request.path)
        return response(500, "Internal error", "unexpected error; the log has it")
