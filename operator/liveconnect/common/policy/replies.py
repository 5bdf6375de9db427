"""Answers of devices to the gateway's requests: whose they are, and who hears them.

Their topics belong to this rule alone. A device answers for itself, whatever other rules say; no
backend publishes there, or it could answer in a device's name; and each pod of the gateway hears
what it asked, known by the pod that its token was made for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from liveconnect.api import operands
from liveconnect.api.v1alpha1 import TopicAction, TopicRule
from liveconnect.common.policy.rules import RuleTemplate
from liveconnect.common.topics import covers
from liveconnect.common.verified import Verified

SOURCE: Final = "spec.gateway.requests"
QOS: Final = 1
"""Of the gateway's subscriptions: an answer may arrive twice, which is told by its request."""
_ORDINAL: Final = re.compile(r"-([0-9]{1,9})$")


class Replies:
    """The built-in rule."""

    def __init__(self, stated: operands.Replies) -> None:
        """Take it apart.

        Raises:
            TemplateError: the topic cannot be used.
        """
        self._gateway = stated.gateway
        self._anybody = stated.topic.replace("{clientId}", "+")
        self._topics = [*self._anybody.split("/"), "+", "+"]
        self.rule = RuleTemplate.of(
            TopicRule(
                filter=f"{stated.topic}/+/+",
                allow=[TopicAction.PUBLISH],
                maxPayloadBytes=stated.max_bytes,
            ),
            SOURCE,
        )
        """What it allows devices."""

    def hold(self, levels: Sequence[str]) -> bool:
        """Return whether a topic name is one of answers."""
        return covers(self._topics, levels)

    def are_heard_by(self, backend: Verified, topic_filter: str) -> bool:
        """Return whether a backend is the gateway's pod that this filter's answers are for."""
        if backend.subject != self._gateway:
            return False
        ordinal = _ORDINAL.search(_pod_of(backend.claims))
        return ordinal is not None and topic_filter == f"{self._anybody}/{ordinal[1]}/+"


def _pod_of(claims: Mapping[str, Any]) -> str:
    """The pod that a ServiceAccount's token was made for; empty if for none."""
    bound = claims.get("kubernetes.io")
    pod = bound.get("pod") if isinstance(bound, dict) else None
    name = pod.get("name") if isinstance(pod, dict) else None
    return name if isinstance(name, str) else ""
