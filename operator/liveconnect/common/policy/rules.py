"""Topic rules with placeholders: `orders/{claims.sub}/+/status`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from liveconnect.api.v1alpha1 import TopicAction, TopicRule
from liveconnect.common.topics import is_valid_filter

_PLACEHOLDER: Final = re.compile(r"\{(clientId|claims\.[^{}/+#\0]+)\}")
_BRACE: Final = re.compile(r"[{}]")
_CLIENT_ID: Final = "clientId"
_FORBIDDEN: Final = re.compile(r"[/+#\0]")
"""What a value may not contain: it would reach beyond the one level that it stands in."""
_MAX_INTEGER: Final = 2**63


class TemplateError(ValueError):
    """A rule's filter that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class RuleTemplate:
    """One topic rule, ready to be filled in with a client's own values."""

    source: str
    """Where it is stated, for people: `spec.auth.topics[0]`."""
    levels: tuple[str, ...]
    """The filter's levels as they are stated."""
    places: tuple[tuple[int, tuple[str, ...]], ...]
    """Levels with placeholders: index, and literal text and placeholders in turns."""
    actions: frozenset[TopicAction]
    groups: frozenset[str]
    """Only for members of one of these; for everybody if empty."""
    max_qos: int
    allow_retain: bool
    max_payload_bytes: int | None

    @classmethod
    def of(cls, rule: TopicRule, source: str = "") -> RuleTemplate:
        """Take a rule apart.

        Args:
            rule: as it is stated.
            source: where it is stated.

        Raises:
            TemplateError: its filter is invalid.
        """
        levels = tuple(rule.filter.split("/"))
        parts = [tuple(_PLACEHOLDER.split(level)) for level in levels]
        if any(_BRACE.search(text) for level in parts for text in level[::2]):
            raise TemplateError(f"{rule.filter!r} has a placeholder that nothing stands for")
        if not is_valid_filter("/".join("x".join(level[::2]) for level in parts)):
            raise TemplateError(f"{rule.filter!r} is no valid topic filter")
        return cls(
            source=source,
            levels=levels,
            places=tuple((index, level) for index, level in enumerate(parts) if len(level) > 1),
            actions=frozenset(rule.allow),
            groups=frozenset(rule.groups),
            max_qos=rule.maxQoS,
            allow_retain=rule.allowRetain,
            max_payload_bytes=rule.maxPayloadBytes,
        )

    @property
    def first_level(self) -> str | None:
        """The literal first level; None if it is a wildcard or depends on the client."""
        if self.levels[0] in {"+", "#"} or (self.places and self.places[0][0] == 0):
            return None
        return self.levels[0]

    def expand(self, client_id: str, claims: Mapping[str, Any]) -> tuple[str, ...] | None:
        """Return the levels of the filter for one client.

        None when a value is missing or could mean more than one level: then the rule is not for
        this client.
        """
        if not self.places:
            return self.levels
        levels = list(self.levels)
        for index, parts in self.places:
            level = parts[0]
            for at in range(1, len(parts), 2):
                value = _value_of(parts[at], client_id, claims)
                if value is None:
                    return None
                level += value + parts[at + 1]
            levels[index] = level
        return tuple(levels)


def _value_of(placeholder: str, client_id: str, claims: Mapping[str, Any]) -> str | None:
    value: object = client_id
    if placeholder != _CLIENT_ID:
        value = claims.get(placeholder.removeprefix("claims."))
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_INTEGER:
        value = str(value)
    if not isinstance(value, str) or not value or _FORBIDDEN.search(value):
        return None
    return value
