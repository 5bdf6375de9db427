"""`Prefer` (RFC 7240): whether a caller waits for the answer, or asks for it later."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from liveconnect.gateway.messages.fault import MessageError

LONGEST_WAIT: Final = 60
"""Seconds that a call is kept waiting at most."""
_WAIT: Final = re.compile(r"wait\s*=\s*\"?([0-9]{1,9})\"?", re.IGNORECASE)


class Preference(msgspec.Struct, frozen=True):
    """How a caller wants to be answered."""

    later: bool = False
    """`respond-async`: with 202, unless the answer comes first."""
    wait: int | None = None
    """`wait=N`: seconds that the answer may take."""

    def seconds(self, timeout: int) -> int:
        """Return how long the call waits for the answer.

        Args:
            timeout: seconds after which the answer is of no use.

        Raises:
            MessageError: longer than a call may wait.
        """
        if self.later:
            return min(self.wait or 0, LONGEST_WAIT, timeout)
        if timeout > LONGEST_WAIT:
            detail = f"more than {LONGEST_WAIT} needs the header Prefer: respond-async"
            raise MessageError(detail, "timeoutSeconds")
        return timeout


def parse_preference(header: bytes | None) -> Preference:
    """Read the header; preferences that are not known are ignored, as RFC 7240 demands."""
    if header is None:
        return Preference()
    later, wait = False, None
    for part in header.decode("latin-1").split(","):
        stated = part.partition(";")[0].strip()
        if stated.lower() == "respond-async":
            later = True
        elif wait is None and (match := _WAIT.fullmatch(stated)):
            wait = int(match[1])
    return Preference(later, wait)
