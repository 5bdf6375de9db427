"""What became of each message of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from liveconnect.client.errors import ProblemError, UnreadableAnswerError, problem_error
from liveconnect.client.messages import Receipt


@dataclass(frozen=True)
class Outcome:
    """What became of one message: a receipt or an error."""

    index: int
    """Its place in the batch."""
    receipt: Receipt | None
    error: ProblemError | None = None


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
