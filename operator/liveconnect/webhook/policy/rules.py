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

    parts: tuple[str, ...]
    """Literal text and placeholders in turns, beginning and ending with text."""
    actions: frozenset[TopicAction]
    max_qos: int
    allow_retain: bool

    @classmethod
    def of(cls, rule: TopicRule) -> RuleTemplate:
        """Take a rule apart.

        Raises:
            TemplateError: its filter is invalid.
        """
        parts = tuple(_PLACEHOLDER.split(rule.filter))
        if any(_BRACE.search(text) for text in parts[::2]):
            raise TemplateError(f"{rule.filter!r} has a placeholder that nothing stands for")
        if not is_valid_filter("x".join(parts[::2])):
            raise TemplateError(f"{rule.filter!r} is no valid topic filter")
        return cls(parts, frozenset(rule.allow), rule.maxQoS, rule.allowRetain)

    def expand(self, client_id: str, claims: Mapping[str, Any]) -> list[str] | None:
        """Return the levels of the filter for one client.

        None when a value is missing or could mean more than one level: then the rule is not for
        this client.
        """
        if len(self.parts) == 1:
            return self.parts[0].split("/")
        filled = list(self.parts)
        for index in range(1, len(filled), 2):
            value = _value_of(filled[index], client_id, claims)
            if value is None:
                return None
            filled[index] = value
        return "".join(filled).split("/")


def _value_of(placeholder: str, client_id: str, claims: Mapping[str, Any]) -> str | None:
    value: object = client_id
    if placeholder != _CLIENT_ID:
        value = claims.get(placeholder.removeprefix("claims."))
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_INTEGER:
        value = str(value)
    if not isinstance(value, str) or not value or _FORBIDDEN.search(value):
        return None
    return value
