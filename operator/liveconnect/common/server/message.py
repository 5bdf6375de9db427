"""Requests and responses."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
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


class Handler(Protocol):
    """Answers requests."""

    def __call__(self, request: Request) -> Response | Coroutine[Any, Any, Response]:
        """Return the response, or a coroutine of it if something has to be waited for.

        Raises:
            Problem: the request cannot be answered otherwise. The coroutine may raise it, too.
        """
