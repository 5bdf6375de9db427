"""MQTT topic names and filters: matching and containment by level, never by string prefix. Pure."""

from __future__ import annotations

SHARE = "$share/"


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a filter covers a topic name (MQTT 5, section 4.7)."""
    return covers(topic_filter, topic)


def covers(outer: str, inner: str) -> bool:
    """Whether every topic that `inner` (a name or a filter) covers is covered by `outer`."""
    if inner.startswith("$"):
        return False  # nobody of ours is granted `$SYS` and its like
    a, b = outer.split("/"), inner.split("/")
    for index, level in enumerate(a):
        if level == "#":
            return True
        if index >= len(b):
            return False
        if b[index] == "#" or (level != "+" and level != b[index]):
            return False
    # `a/+` covers `a/x`, not `a`; and a longer inner is not covered, but for `a/#` handled above.
    return len(a) == len(b)


def is_filter(text: str) -> bool:
    """Whether this is a well-formed filter."""
    if not text or "\x00" in text:
        return False
    levels = text.split("/")
    for index, level in enumerate(levels):
        if level == "#" and index != len(levels) - 1:
            return False
        if level not in {"+", "#"} and ("+" in level or "#" in level):
            return False
    return True


def is_name(text: str) -> bool:
    """Whether this is a well-formed topic name."""
    return bool(text) and not any(c in text for c in "+#\x00")


def shared_filter(text: str) -> str | None:
    """The filter of a shared subscription `$share/<group>/<filter>`; None for another `$…`."""
    if not text.startswith(SHARE):
        return None if text.startswith("$") else text
    group, _, inner = text[len(SHARE) :].partition("/")
    return inner if group and inner and not any(c in group for c in "+#") else None
