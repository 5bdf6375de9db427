"""Requests and responses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, Protocol

import msgspec

from liveconnect.common.problem import CONTENT_TYPE as PROBLEM_JSON
from liveconnect.common.problem import Problem

JSON = "application/json"


class Request(msgspec.Struct, frozen=True):
    """A whole request."""

    method: str
    path: str
    """Still percent-encoded, without the query."""
    headers: dict[bytes, bytes]
    """Names in lower case; of a repeated header the last value."""
    body: bytes
    query: bytes = b""
    """What follows the question mark, still percent-encoded."""

    def __repr__(self) -> str:
        return f"Request({self.method} {self.path})"


class Response(msgspec.Struct, frozen=True):
    """A whole response."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = {}

    @classmethod
    def of_problem(cls, problem: Problem) -> Response:
        """Return the response that says a problem."""
        return cls(problem.body(), problem.status, PROBLEM_JSON, problem.headers)


class Pending(msgspec.Struct, frozen=True, gc=False):
    """A response to be made when something is done; costs no task, unlike a coroutine."""

    awaited: asyncio.Future[Any]
    """Cancelled if the peer goes away before."""
    finish: Callable[[], Response]
    """Called once when `awaited` is done, unless it was cancelled; may raise a Problem."""


class Stream(msgspec.Struct, frozen=True):
    """A response of which nobody knows yet how long it is; its end is the connection's."""

    pieces: AsyncIterator[bytes]
    """Each is sent as soon as it is there. Cancelled if the peer goes away; has to end by itself
    when the process drains."""
    content_type: str
    headers: Mapping[str, str] = {}


Answer = Response | Pending | Coroutine[Any, Any, Response | Stream]
"""A response, or what it comes from if something has to be waited for."""


class Handler(Protocol):
    """Answers requests."""

    def __call__(self, request: Request) -> Answer:
        """Return the answer.

        Raises:
            Problem: the request cannot be answered otherwise. The coroutine may raise it, too.
        """
