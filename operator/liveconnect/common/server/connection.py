"""One connection: bytes in, requests to the handler, responses out in the requests' order."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from functools import lru_cache, partial
from http import HTTPMethod, HTTPStatus
from typing import Any, Final, TypeVar, cast

import httptools
import msgspec

from liveconnect.common.logs import get_logger
from liveconnect.common.problem import Problem
from liveconnect.common.process import KEEP_ALIVE_SECONDS, Draining
from liveconnect.common.server.message import Handler, Pending, Request, Response, Stream

_MAX_WAITING: Final = 64
"""Pipelined requests that one connection may have waiting."""
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_METHODS: Final = {method.value.encode(): method.value for method in HTTPMethod}

T = TypeVar("T")

_log = get_logger(__name__)


class Limits(msgspec.Struct, frozen=True):
    """What a peer may ask of us."""

    head_bytes: int = 16 * 1024
    """Request target and headers."""
    body_bytes: int = 1024 * 1024
    request_seconds: float = 10.0
    """From a request's first byte to its last."""
    idle_seconds: float = KEEP_ALIVE_SECONDS


class _DateHeader:
    """The `Date` header, formatted once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def line(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._line = f"Date: {formatdate(second, usegmt=True)}\r\n".encode()
        return self._line


_date: Final = _DateHeader()


class Connection(asyncio.Protocol):
    """Protocol of one connection. httptools calls its `on_…` methods."""

    def __init__(
        self, handler: Handler, draining: Draining, limits: Limits, open_: set[Connection]
    ) -> None:
        self._handler = handler
        self._draining = draining
        self._limits = limits
        self._open = open_
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._under_way: asyncio.Future[Any] | None = None
        self._writable = True
        self._resumed = asyncio.Event()
        self._began: float | None = None
        self._last = time.monotonic()
        self._reset()

    def _reset(self) -> None:
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._head_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's is one in all but name
        self._transport = cast("asyncio.Transport", transport)
        self._open.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forget everything; a handler that still waits waits for nobody."""
        self._open.discard(self)
        self._transport = None
        self._waiting.clear()
        if self._under_way is not None:
            self._under_way.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse; whatever is not HTTP ends the connection."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._began is None:
            self._began = time.monotonic()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(Problem(400, "this server upgrades to nothing"))
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._fail(cause if isinstance(cause, Problem) else Problem(400, "bad request"))
        except httptools.HttpParserError:
            self._fail(Problem(400, "not HTTP/1.1"))

    def pause_writing(self) -> None:
        """Stop answering while the peer does not read."""
        self._writable = False
        self._resumed.clear()

    def resume_writing(self) -> None:
        """Go on answering."""
        self._writable = True
        self._resumed.set()
        self._answer_waiting()

    # --- httptools' callbacks

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target."""
        self._head_bytes += len(url)
        if self._head_bytes > self._limits.head_bytes:
            raise self._head_too_long()
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > self._limits.head_bytes:
            raise self._head_too_long()
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Refuse a body that is too long before it is sent."""
        if self._headers.get(b"expect", b"").lower() == b"100-continue":
            assert self._transport is not None  # noqa: S101 - the parser is being fed
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes:
            raise Problem(413, f"the body is longer than {self._limits.body_bytes} bytes")
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Answer the request, or let it wait for those before it."""
        parser = self._parser
        path, _, query = self._target.partition(b"?")
        request = Request(
            _METHODS.get(parser.get_method(), ""),
            path.decode("ascii", "replace"),
            self._headers,
            self._body[0] if len(self._body) == 1 else b"".join(self._body),
            query,
        )
        keep_alive = parser.should_keep_alive()
        self._reset()
        self._began = None
        if len(self._waiting) >= _MAX_WAITING:
            raise Problem(429, "too many pipelined requests")
        self._waiting.append((request, keep_alive))
        self._answer_waiting()

    def _head_too_long(self) -> Problem:
        return Problem(431, f"the headers are longer than {self._limits.head_bytes} bytes")

    # --- answering

    def _answer_waiting(self) -> None:
        while self._waiting and self._under_way is None and self._writable:
            request, keep_alive = self._waiting.popleft()
            answer = _call(request, self._handler, request)
            if isinstance(answer, Response):
                self._write(request, answer, keep_alive=keep_alive)
            elif isinstance(answer, Pending):
                self._under_way = answer.awaited
                finished = partial(self._finish, request, answer.finish, keep_alive)
                answer.awaited.add_done_callback(finished)
            else:
                task = asyncio.create_task(self._answer_later(request, answer, keep_alive))
                self._under_way = task
        self._pace()

    def _finish(
        self,
        request: Request,
        finish: Callable[[], Response],
        keep_alive: bool,
        awaited: asyncio.Future[Any],
    ) -> None:
        if awaited.cancelled():
            return
        self._under_way = None
        self._write(request, _call(request, finish), keep_alive=keep_alive)
        self._answer_waiting()

    async def _answer_later(
        self, request: Request, answer: Coroutine[Any, Any, Response | Stream], keep_alive: bool
    ) -> None:
        response: Response | Stream
        try:
            response = await answer
        except Problem as problem:
            response = Response.of_problem(problem)
        except Exception:  # noqa: BLE001 - as above
            response = _internal_error(request)
        if isinstance(response, Stream):
            await self._stream(request, response)
            return
        self._under_way = None
        self._write(request, response, keep_alive=keep_alive)
        self._answer_waiting()

    async def _stream(self, request: Request, stream: Stream) -> None:
        """Send pieces as they come, no faster than the peer reads them, and close."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(_encode_stream_head(stream))
        try:
            if request.method != "HEAD":
                async for piece in stream.pieces:
                    transport.write(piece)
                    self._last = time.monotonic()
                    if not self._writable:
                        await self._resumed.wait()
        except Exception:  # noqa: BLE001 - a bug in a handler is no end of the process
            _log.exception("a stream failed", path=request.path)
        self._under_way = None
        self._waiting.clear()
        transport.close()

    def _pace(self) -> None:
        """Read on only when no request waits behind the one that is under way."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._waiting:
            self._transport.pause_reading()
        elif not self._transport.is_reading():
            self._transport.resume_reading()

    def _write(self, request: Request, response: Response, *, keep_alive: bool) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        keep_alive = keep_alive and not self._draining
        transport.write(_encode(response, keep_alive=keep_alive, head=request.method == "HEAD"))
        self._last = time.monotonic()
        if not keep_alive:
            self._waiting.clear()
            transport.close()

    def _fail(self, problem: Problem) -> None:
        """Answer what cannot be understood, after what was understood before it, and close."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._under_way is None and not self._waiting:
            transport.write(_encode(Response.of_problem(problem), keep_alive=False, head=False))
        transport.close()

    # --- the server's side

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self._began is not None or self._under_way is not None or bool(self._waiting)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def check_time(self, now: float) -> None:
        """Close the connection if its peer takes too long."""
        if self._began is not None and now - self._began > self._limits.request_seconds:
            self._fail(Problem(408, "the request took too long"))
        elif now - self._last > self._limits.idle_seconds:
            if not self.busy:
                self.close()
            elif not self._writable and self._transport is not None:
                self._transport.abort()  # what it does not read would never be flushed


def _encode(response: Response, *, keep_alive: bool, head: bool) -> bytes:
    return b"%b%b%bContent-Length: %d\r\n%b\r\n%b" % (
        _STATUS_LINES[response.status],
        _date.line(),
        _encode_headers(response.content_type, tuple(response.headers.items()))
        if response.headers
        else _encode_headers(response.content_type),
        len(response.body),
        b"" if keep_alive else b"Connection: close\r\n",
        b"" if head else response.body,
    )


def _encode_stream_head(stream: Stream) -> bytes:
    return b"%b%b%bConnection: close\r\n\r\n" % (
        _STATUS_LINES[200],
        _date.line(),
        _encode_headers(stream.content_type, tuple(stream.headers.items())),
    )


@lru_cache(maxsize=64)
def _encode_headers(content_type: str, more: tuple[tuple[str, str], ...] = ()) -> bytes:
    lines = (("Content-Type", content_type), *more)
    return "".join(f"{name}: {value}\r\n" for name, value in lines).encode("latin-1")


def _call(request: Request, function: Callable[..., T], *arguments: Any) -> T | Response:
    try:
        return function(*arguments)
    except Problem as problem:
        return Response.of_problem(problem)
    except Exception:  # noqa: BLE001 - a bug in a handler is a 500, not the end
        return _internal_error(request)


def _internal_error(request: Request) -> Response:
    _log.exception("a request failed", method=request.method, path=request.path)
    return Response.of_problem(Problem(500, "internal error"))
