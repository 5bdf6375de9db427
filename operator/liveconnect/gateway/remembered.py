"""What is written down of a request that somebody may come back for, and how it is read again.

A file that others wrote to, or an older version, may hold anything: what is no request is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Protocol

import msgspec
from msgspec import Meta

from liveconnect.gateway.messages.question import LONGEST_TIMEOUT
from liveconnect.gateway.replies import Reply

_encode_reply: Final = msgspec.msgpack.Encoder().encode
_decode_reply: Final = msgspec.msgpack.Decoder(Reply).decode

_Token = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
_Timeout = Annotated[int, Meta(ge=1, le=LONGEST_TIMEOUT)]
_Moment = Annotated[float, Meta(ge=0)]


class Remembered(msgspec.Struct, frozen=True):
    """A request, apart from who waits for it now."""

    token: _Token
    caller: str
    client_id: str
    timeout: _Timeout
    """Seconds that the answer may take."""
    expires: _Moment
    """When the answer is of no use any more: seconds since the epoch."""
    acknowledged: bool = False
    """Whether a broker has said that it has the request."""
    finished: _Moment = 0.0
    """When it was answered: seconds since the epoch."""
    answer: Reply | None = None


class Journal(Protocol):
    """Where requests are written down. What is asked for together is committed together."""

    def add(self, one: Remembered) -> None:
        """Write a request down."""

    def acknowledge(self, token: str) -> None:
        """Note that a broker has the request."""

    def answer(self, token: str, reply: Reply, now: float) -> None:
        """Note the answer."""

    def remove(self, token: str) -> None:
        """Forget the request."""


def encode_reply(reply: Reply) -> bytes:
    """Return an answer as it is written to disk."""
    return _encode_reply(reply)


def read_remembered(row: Sequence[Any], now: float) -> Remembered | None:
    """Return the request that a row is; None if it is none.

    A clock that was set back makes nobody wait longer than was asked for.

    Args:
        row: the fields in their order; texts and the answer as bytes.
        now: seconds since the epoch.
    """
    try:
        token, caller, client_id, timeout, expires, acknowledged, finished, answer = row
        one = msgspec.convert(
            {
                "token": token.decode(),
                "caller": caller.decode(),
                "client_id": client_id.decode(),
                "timeout": timeout,
                "expires": expires,
                "acknowledged": bool(acknowledged),
                "finished": finished,
            },
            Remembered,
        )
        reply = None if answer is None else _decode_reply(answer)
    except (AttributeError, TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        return None
    return msgspec.structs.replace(
        one,
        expires=min(one.expires, now + one.timeout),
        finished=min(one.finished, now),
        answer=reply,
    )
