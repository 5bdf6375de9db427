"""Topic names that may be published to."""

from __future__ import annotations

import re
from typing import Final

from liveconnect.common.topics import MAX_TOPIC_BYTES, is_reserved
from liveconnect.gateway.messages.fault import FaultKind, MessageError

UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
"""A broker may take these for a malformed packet (MQTT 5, 1.5.4) and cut the connection."""


def check_topic(topic: str, max_levels: int, field: str = "topic") -> str:
    """Return the topic name.

    Args:
        topic: what was asked for.
        max_levels: most levels.
        field: named if it is wrong.

    Raises:
        MessageError: nothing can be published to it.
    """
    if not topic:
        raise MessageError("a topic name has at least one character", field)
    if "+" in topic or "#" in topic:
        raise MessageError("a topic name has no wildcards (+ and #)", field)
    if not topic.isprintable() and UNPRINTABLE.search(topic):
        raise MessageError("control characters, NUL among them, are not allowed", field)
    if is_reserved(topic):
        raise MessageError("names that begin with $ are the broker's own", field)
    if topic.count("/") >= max_levels:
        raise MessageError(f"at most {max_levels} levels", field)
    if len(topic) * 4 > MAX_TOPIC_BYTES and len(topic.encode()) > MAX_TOPIC_BYTES:
        raise MessageError(f"at most {MAX_TOPIC_BYTES} bytes of UTF-8", field, FaultKind.SIZE)
    return topic
