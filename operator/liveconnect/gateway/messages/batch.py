"""A batch: one message in each line (NDJSON)."""

from __future__ import annotations

from liveconnect.gateway.messages.address import Topics
from liveconnect.gateway.messages.body import parse
from liveconnect.gateway.messages.fault import FaultKind, MessageError
from liveconnect.gateway.messages.limits import Limits
from liveconnect.gateway.messages.publication import Publication


def split_batch(raw: bytes, limits: Limits) -> list[bytes]:
    """Return the lines of a batch; empty ones do not count.

    Raises:
        MessageError: there is none, or there are too many.
    """
    lines = [line for line in raw.split(b"\n") if line and not line.isspace()]
    if not lines:
        raise MessageError("the batch is empty", kind=FaultKind.SYNTAX)
    if len(lines) > limits.batch_items:
        raise MessageError(
            f"{len(lines)} messages, at most {limits.batch_items}", kind=FaultKind.SIZE
        )
    return lines


def parse_line(line: bytes, limits: Limits, topics: Topics) -> Publication | MessageError:
    """Read one line of a batch; what is wrong with it concerns no other line."""
    if len(line) > limits.body_bytes:
        return MessageError(f"longer than {limits.body_bytes} bytes", kind=FaultKind.SIZE)
    try:
        return parse(line, limits, topics)
    except MessageError as error:
        return error
