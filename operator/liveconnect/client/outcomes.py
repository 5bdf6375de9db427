"""What became of each message of a batch, and of each member of a fan-out."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from liveconnect.client.errors import (
    ProblemError,
    UnreachableError,
    UnreadableAnswerError,
    problem_error,
)
from liveconnect.client.messages import PresenceState, Receipt


@dataclass(frozen=True)
class Outcome:
    """What became of one message: a receipt or an error."""

    index: int
    """Its place in the batch."""
    receipt: Receipt | None
    error: ProblemError | None = None


@dataclass(frozen=True)
class MemberOutcome:
    """What became of one member's message."""

    client_id: str
    presence: PresenceState
    receipt: Receipt | None
    error: ProblemError | None = None


@dataclass(frozen=True)
class FanOut:
    """The report of a fan-out."""

    outcomes: tuple[MemberOutcome, ...]
    online: int
    """Members that were online."""
    published: int
    """Members whose message was published."""
    next: str | None
    """Give it as `after` to go on with the rest; None if there is none."""


class _Line(msgspec.Struct):
    index: int
    status: int
    result: Receipt | None = None


def outcomes(body: bytes, messages: int) -> tuple[Outcome, ...]:
    """Read a batch's answer (NDJSON).

    Args:
        body: of the answer.
        messages: how many there were.

    Raises:
        UnreadableAnswerError: it is not one line for each message.
    """
    found = tuple(_outcome(line) for line in body.splitlines())
    if [one.index for one in found] != list(range(messages)):
        raise UnreadableAnswerError(f"{len(found)} results for {messages} messages")
    return found


def _outcome(line: bytes) -> Outcome:
    read = msgspec.json.decode(line, type=_Line)
    error = None if read.result is not None else problem_error(read.status, line)
    return Outcome(read.index, read.result, error)


class _FanOutLine(msgspec.Struct, rename="camel"):
    """A member's line, a cursor's, or the sum's: the last one."""

    client_id: str | None = None
    presence: PresenceState = PresenceState.UNKNOWN
    status: int = 0
    result: Receipt | None = None
    members: int | None = None
    online: int = 0
    published: int = 0
    next: str | None = None


def fan_out(body: bytes) -> FanOut:
    """Read a fan-out's answer (NDJSON).

    Raises:
        UnreachableError: it was cut.
    """
    lines = body.splitlines()
    last = msgspec.json.decode(lines[-1], type=_FanOutLine) if body.endswith(b"\n") else None
    if last is None or last.members is None:
        raise UnreachableError("the answer to a fan-out was cut")
    told = [found for line in lines for found in _members(line)]
    return FanOut(tuple(told), last.online, last.published, last.next)


def _members(line: bytes) -> list[MemberOutcome]:
    """Read a member's line; the others are none."""
    read = msgspec.json.decode(line, type=_FanOutLine)
    if read.client_id is None:
        return []
    error = None if read.result is not None else problem_error(read.status, _without_presence(line))
    return [MemberOutcome(read.client_id, read.presence, read.result, error)]


def _without_presence(line: bytes) -> bytes:
    """Drop what is a word here and an object in other problems."""
    members = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    members.pop("presence", None)
    return msgspec.json.encode(members)
