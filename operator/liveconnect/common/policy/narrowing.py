"""Which subscriptions may have been granted by rules that are no longer in force. Pure.

It errs on one side: what it does not name is still covered, whoever the client is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from liveconnect.api.v1alpha1 import TopicAction
from liveconnect.common.policy.rules import RuleTemplate
from liveconnect.common.topics import covers, inner_filter


class Narrowing:
    """What became less from earlier rules to those in force."""

    def __init__(
        self, earlier: Iterable[RuleTemplate] | None, current: Iterable[RuleTemplate]
    ) -> None:
        """Compare.

        Args:
            earlier: all rules by which subscriptions may have been granted; None if not known.
            current: the rules in force.
        """
        self._current = [rule for rule in current if TopicAction.SUBSCRIBE in rule.actions]
        kept = {_essence(rule) for rule in self._current}
        self._unknown = earlier is None
        self._withdrawn = [
            _as_for_anybody(rule)
            for rule in earlier or ()
            if TopicAction.SUBSCRIBE in rule.actions and _essence(rule) not in kept
        ]

    def __bool__(self) -> bool:
        return self._unknown or bool(self._withdrawn)

    def concerns(self, client_id: str, topic: str) -> bool:
        """Return whether a client's subscription has to be judged anew."""
        inner = inner_filter(topic)
        if inner is None:
            return True
        levels = inner.split("/")
        if not self._unknown and not any(covers(rule, levels) for rule in self._withdrawn):
            return False
        return not any(_certainly(rule, client_id, levels) for rule in self._current)

    def may_have_been_granted(self, topic: str) -> bool:
        """Whether a rule in force grants this subscription to some client.

        Only asked about who is not there to be judged, and only when the earlier rules are not
        known: that alone is no reason to end a stored session with all its messages.
        """
        inner = inner_filter(topic)
        if not self._unknown or inner is None:
            return False
        levels = inner.split("/")
        return any(covers(_as_for_anybody(rule), levels) for rule in self._current)


def _essence(rule: RuleTemplate) -> tuple[tuple[str, ...], frozenset[str]]:
    """Who gets what; a lower QoS takes no subscription away."""
    return rule.levels, rule.groups


def _as_for_anybody(rule: RuleTemplate) -> tuple[str, ...]:
    """A filter that holds what the rule means for any client."""
    places = {index for index, _ in rule.places}
    return tuple("+" if index in places else level for index, level in enumerate(rule.levels))


def _certainly(rule: RuleTemplate, client_id: str, levels: Sequence[str]) -> bool:
    """Whether the rule covers a filter for this client, whatever its token says."""
    if rule.groups:
        return False
    allowed = rule.expand(client_id, {})
    return allowed is not None and covers(allowed, levels)
