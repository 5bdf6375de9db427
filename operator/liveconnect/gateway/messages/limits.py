"""How much a caller may ask for."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one message."""

    payload_bytes: int
    """Longest payload, after base64 and JSON are decoded."""
    topic_levels: int
    """Most levels of a topic name; VerneMQ has such a bound, too (`topic_max_depth`)."""

    @property
    def body_bytes(self) -> int:
        """Longest request body.

        A payload of plain text may take twice its size in JSON (each quotation mark is escaped),
        base64 takes four thirds; the rest is the topic, itself escaped at worst, and the names.
        """
        return 2 * self.payload_bytes + 6 * 65535 + 1024
