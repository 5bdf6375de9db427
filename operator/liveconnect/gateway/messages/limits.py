"""How much a caller may ask for."""

from __future__ import annotations

from typing import Final

import msgspec

_BATCH_BODY_BYTES: Final = 8 * 1024 * 1024
_IDS_BYTES: Final = 6 * 1024 * 1024
"""Ten thousand client ids of a hundred characters, each escaped at worst."""


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one message, and of a batch."""

    payload_bytes: int
    """Longest payload, after base64 and JSON are decoded."""
    topic_levels: int
    """Most levels of a topic name; VerneMQ has such a bound, too (`topic_max_depth`)."""
    batch_items: int = 10_000
    """Most messages of one batch."""
    packet_bytes: int = 268_435_455
    """Longest message, topic and properties included; VerneMQ's `max_message_size`."""

    @property
    def body_bytes(self) -> int:
        """Longest request body.

        A payload of plain text may take twice its size in JSON (each quotation mark is escaped),
        base64 takes four thirds; the rest is the topic, itself escaped at worst, and the names.
        """
        return 2 * self.payload_bytes + 6 * 65535 + 1024

    @property
    def fanout_bytes(self) -> int:
        """Longest body of a fan-out: a message, and client ids."""
        return min(self.body_bytes + _IDS_BYTES, self.batch_bytes)

    @property
    def batch_bytes(self) -> int:
        """Longest body of a batch."""
        return max(_BATCH_BODY_BYTES, self.body_bytes)
