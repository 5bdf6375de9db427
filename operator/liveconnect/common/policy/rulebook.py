"""All rules for one action, found by the first level of what is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from liveconnect.common.policy.rules import RuleTemplate
from liveconnect.common.topics import covers
from liveconnect.common.verified import Verified


class Rulebook:
    """Rules in the order in which they are stated.

    Most begin with a literal level of their own, so a decision looks at few of them, however many
    teams state rules.
    """

    def __init__(self, rules: Sequence[RuleTemplate]) -> None:
        self._anywhere = tuple(rule for rule in rules if rule.first_level is None)
        firsts = {rule.first_level for rule in rules} - {None}
        self._by_first_level = {
            first: tuple(rule for rule in rules if rule.first_level in {first, None})
            for first in firsts
        }

    def covering(
        self, client_id: str, device: Verified, levels: Sequence[str]
    ) -> Iterator[RuleTemplate]:
        """Return the rules for this device that cover a filter or a topic name."""
        for rule in self._by_first_level.get(levels[0], self._anywhere):
            if rule.groups and rule.groups.isdisjoint(device.groups):
                continue
            allowed = rule.expand(client_id, device.claims)
            if allowed is not None and covers(allowed, levels):
                yield rule
