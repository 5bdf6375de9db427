"""How long a hook's body may be."""

from __future__ import annotations

from typing import Final

from liveconnect.api.operands import MOST_MESSAGE_BYTES

LEAST_BODY_BYTES: Final = 1024 * 1024
_REST_BYTES: Final = 256 * 1024


def longest_body(max_message_bytes: int) -> int:
    """Return the length of the longest body that is read (bytes).

    `auth_on_publish` carries the payload in base64: a body that is too long is a refusal, which
    ends a 3.1.1 client's connection. So what the brokers take is read here, too.

    Args:
        max_message_bytes: the brokers' `max_message_size`; 0 is no bound.
    """
    message = min(max_message_bytes or MOST_MESSAGE_BYTES, MOST_MESSAGE_BYTES)
    return max(LEAST_BODY_BYTES, message * 4 // 3 + _REST_BYTES)
