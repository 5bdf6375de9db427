"""Who may publish where."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from liveconnect.api.operands import Publisher
from liveconnect.common.topics import covers

_NOTHING: Final[tuple[list[str], ...]] = ()


class Permissions:
    """The topic filters of each caller, taken apart once. Default: deny."""

    def __init__(self, callers: Iterable[Publisher], replies: str = "") -> None:
        """Take the filters apart.

        Args:
            callers: who may publish what.
            replies: filter of devices' answers, where nobody may; empty if there are none.
        """
        self._replies = replies.split("/") if replies else None
        rules: dict[str, tuple[list[str], ...]] = {}
        for caller in callers:
            rules[caller.subject] = (
                *rules.get(caller.subject, ()),
                *(topic_filter.split("/") for topic_filter in caller.publish),
            )
        self._rules = rules

    def allows(self, subject: str, topic: str) -> bool:
        """Return whether one of the subject's filters matches the topic name (MQTT 5, 4.7)."""
        levels = topic.split("/")
        if self._replies is not None and covers(self._replies, levels):
            return False
        for rule in self._rules.get(subject, _NOTHING):  # noqa: SIM110 - `any` costs five times as much
            if covers(rule, levels):
                return True
        return False
