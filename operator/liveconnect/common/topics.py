"""MQTT topic names and filters (MQTT 5, 4.7): what they match and what contains what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

SHARE: Final = "$share"
MAX_TOPIC_BYTES: Final = 65535
"""Longest name or filter, in UTF-8."""


def is_valid_name(topic: str) -> bool:
    """Return whether a message can be published to it."""
    return _is_valid_text(topic) and "+" not in topic and "#" not in topic


def is_valid_filter(topic_filter: str) -> bool:
    """Return whether it can be subscribed to; shared subscriptions aside."""
    if not _is_valid_text(topic_filter):
        return False
    *parents, last = topic_filter.split("/")
    return all(_is_valid_level(level) for level in parents) and (
        last == "#" or _is_valid_level(last)
    )


def _is_valid_text(text: str) -> bool:
    return (
        bool(text) and "\0" not in text and len(text.encode("utf-8", "replace")) <= MAX_TOPIC_BYTES
    )


def _is_valid_level(level: str) -> bool:
    return level == "+" or not ("+" in level or "#" in level)


def inner_filter(topic_filter: str) -> str | None:
    """Return the filter that decides which messages arrive.

    It is what follows `$share/<group>/` in a shared subscription, otherwise the filter itself.
    None for a malformed shared subscription.
    """
    share, _, rest = topic_filter.partition("/")
    if share != SHARE:
        return topic_filter
    group, separator, inner = rest.partition("/")
    if not group or not separator or not inner or "+" in group or "#" in group:
        return None
    return inner


def is_reserved(topic: str) -> bool:
    """Return whether it is among the broker's own topics, which clients have no business with."""
    return topic.startswith("$")


def covers(rule: Sequence[str], requested: Sequence[str]) -> bool:
    """Return whether every topic name that `requested` matches is matched by `rule` as well.

    Both are levels of valid filters; a topic name is a filter without wildcards. A wildcard at
    the first level does not match names that begin with `$`.
    """
    if requested[0].startswith("$") and rule[0] != requested[0]:
        return False
    for index, allowed in enumerate(rule):
        if allowed == "#":
            return True  # and also of the parent level itself, where `requested` has ended
        if index >= len(requested):
            return False
        wanted = requested[index]
        if wanted == "#" or allowed not in {"+", wanted}:
            return False
    return len(requested) == len(rule)
