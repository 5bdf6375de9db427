"""From an HTTP request to what it asks for: which content type is read how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from liveconnect.common.problem import Problem
from liveconnect.common.server import Request
from liveconnect.gateway import answers
from liveconnect.gateway.messages import (
    STRUCTURED,
    Address,
    FanoutRequest,
    FaultKind,
    Limits,
    Message,
    MessageError,
    Properties,
    Publication,
    Question,
    Topics,
    binary_event,
    check_length,
    is_binary_event,
    parse,
    parse_fanout,
    parse_line,
    parse_plain,
    parse_plain_request,
    parse_request,
    split_batch,
    structured_event,
)

JSON: Final = b"application/json"
NDJSON: Final = b"application/x-ndjson"
PLAIN: Final = (b"text/plain", b"application/octet-stream")
_STRUCTURED: Final = STRUCTURED.encode()
_ACCEPTED: Final = ", ".join(kind.decode() for kind in (JSON, *PLAIN, _STRUCTURED))

T = TypeVar("T")
_OfJson = Callable[[bytes, Limits, Topics, Address | None], T]
_OfPlain = Callable[[bytes, bytes, Limits, Topics, Address | None, Properties], T]


class Reader:
    """Reads requests."""

    def __init__(self, limits: Limits, topics: Topics) -> None:
        self._limits = limits
        self._topics = topics

    def read(self, request: Request, address: Address | None = None) -> Publication:
        """Return what a request asks for.

        Args:
            request: of any content type that is taken.
            address: whom the message is for, if the path says it.

        Raises:
            Problem: it is not the request that it must be.
        """
        return self._read(request, address, self._topics, parse, parse_plain)

    def read_question(self, request: Request, address: Address, topics: Topics) -> Question:
        """Return what a request to a client asks for.

        Args:
            request: of any content type that is taken.
            address: the client.
            topics: what clients' topics of requests are.

        Raises:
            Problem: it is not the request that it must be.
        """
        return self._read(request, address, topics, parse_request, parse_plain_request)

    def check_length(self, message: Message) -> Message:
        """Return a message that was made of what was read, if the brokers take it.

        Raises:
            Problem: it is too long.
        """
        try:
            return check_length(message, self._limits.packet_bytes)
        except MessageError as error:
            raise answers.of_message_error(error) from None

    def _read(
        self,
        request: Request,
        address: Address | None,
        topics: Topics,
        of_json: _OfJson[T],
        of_plain: _OfPlain[T],
    ) -> T:
        try:
            carried = self._carried(request)
            if carried is not None:
                return of_plain(request.query, request.body, self._limits, topics, address, carried)
            if request.query:
                raise MessageError("not with a JSON body, which says it all", "query")  # noqa: TRY301 - answered as the rest
            return of_json(request.body, self._limits, topics, address)
        except MessageError as error:
            raise answers.of_message_error(error) from None

    def _carried(self, request: Request) -> Properties | None:
        """Return what the headers say of a body that is the payload; None if it is JSON of ours."""
        headers = request.headers
        if b"content-encoding" in headers:
            raise Problem(415, "the body must not be encoded", {"Accept-Encoding": "identity"})
        if len(request.body) > self._limits.body_bytes:
            raise _too_long(self._limits.body_bytes)
        given = headers.get(b"content-type", JSON)
        if is_binary_event(headers):
            return binary_event(headers)
        kind = JSON if given == JSON else _media_type(given)
        if kind == JSON:
            return None
        if kind == _STRUCTURED:
            return structured_event(request.body)
        if kind in PLAIN:
            return _described(given, request.body)
        raise Problem(415, f"the body must be one of {_ACCEPTED}", {"Accept-Post": _ACCEPTED})

    def read_fanout(self, request: Request) -> FanoutRequest:
        """Return which message is for which clients.

        Raises:
            Problem: it is not the request that it must be.
        """
        if _media_type(request.headers.get(b"content-type", JSON)) != JSON:
            accepted = JSON.decode()
            raise Problem(415, f"a fan-out must be {accepted}", {"Accept-Post": accepted})
        if b"content-encoding" in request.headers:
            raise Problem(415, "the body must not be encoded", {"Accept-Encoding": "identity"})
        if len(request.body) > self._limits.fanout_bytes:
            raise _too_long(self._limits.fanout_bytes)
        try:
            if request.query:
                raise MessageError("not with a JSON body, which says it all", "query")  # noqa: TRY301 - answered as the rest
            return parse_fanout(request.body, self._limits, self._topics)
        except MessageError as error:
            raise answers.of_message_error(error) from None

    def topic_for(self, fanout: FanoutRequest, client_id: str) -> Publication:
        """Return the message for one client.

        Raises:
            MessageError: nothing can be published to it.
        """
        return fanout.to(client_id, self._topics)

    def read_batch(self, request: Request) -> list[Publication | MessageError]:
        """Return what each line of a batch asks for, or what is wrong with it.

        Raises:
            Problem: it is no batch, or one that is too long.
        """
        if _media_type(request.headers.get(b"content-type", NDJSON)) != NDJSON:
            accepted = NDJSON.decode()
            raise Problem(415, f"a batch must be {accepted}", {"Accept-Post": accepted})
        if b"content-encoding" in request.headers:
            raise Problem(415, "the body must not be encoded", {"Accept-Encoding": "identity"})
        try:
            lines = split_batch(request.body, self._limits)
        except MessageError as error:
            raise answers.of_message_error(error) from None
        return [parse_line(line, self._limits, self._topics) for line in lines]


def _media_type(given: bytes) -> bytes:
    return given.partition(b";")[0].strip().lower()


def _described(given: bytes, payload: bytes) -> Properties:
    if given.lstrip().lower().startswith(b"text/"):
        try:
            payload.decode("utf-8")
        except UnicodeDecodeError:
            raise MessageError("text must be UTF-8", kind=FaultKind.SYNTAX) from None
    try:
        return Properties(content_type=given.decode("ascii"))
    except UnicodeDecodeError:
        raise MessageError("not ASCII", "Content-Type") from None


def _too_long(most: int) -> Problem:
    return Problem(413, f"the body is longer than {most} bytes")
