"""An answer of a device, as it arrives over MQTT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from liveconnect.gateway.messages import RequestId
from liveconnect.gateway.messages.question import LEVELS

_CLIENT: Final = "{clientId}"


class Reply(msgspec.Struct, frozen=True):
    """A message on one of the topics of answers."""

    topic: str
    payload: bytes
    content_type: str | None = None
    correlation: bytes | None = None
    user: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"Reply({self.topic!r}, {len(self.payload)} bytes)"


Heard = Callable[[Reply], None]
"""Takes an answer; never fails."""


class ReplyTopics:
    """Which topics answers come on: `spec.gateway.requests.replyTopic`."""

    def __init__(self, template: str) -> None:
        self.template = template
        self._levels = template.split("/")
        self._place = self._levels.index(_CLIENT)

    def filter(self, pod: int) -> str:
        """Return what a pod subscribes to."""
        return f"{self.template.replace(_CLIENT, '+')}/{pod}/+"

    def read(self, topic: str) -> tuple[str, RequestId] | None:
        """Return who answers what; None if a topic says nothing of the kind."""
        levels = topic.split("/")
        if len(levels) != len(self._levels) + LEVELS:
            return None
        *own, pod, token = levels
        client_id, own[self._place] = own[self._place], _CLIENT
        request = RequestId.of(f"{pod}-{token}")
        return None if request is None or own != self._levels else (client_id, request)
