"""Whom a message is for: a topic, a client, or a group."""

from __future__ import annotations

from typing import Final

import msgspec

from liveconnect.gateway.messages.fault import FaultKind, MessageError
from liveconnect.gateway.messages.topic import UNPRINTABLE, check_topic

CLIENT_PLACEHOLDER: Final = "{clientId}"
GROUP_PLACEHOLDER: Final = "{group}"
_LONGEST_ID: Final = 100
"""Characters; VerneMQ takes client ids of so many (`max_client_id_size`)."""


class Address(msgspec.Struct, frozen=True):
    """What a path says about whom a message is for; the body then says nothing about it."""

    topic: str | None = None
    client_id: str | None = None
    group: str | None = None


class Topics(msgspec.Struct, frozen=True):
    """Which topic each address means: `spec.gateway.clientTopic` and `groupTopic`."""

    client: str
    """With `{clientId}`."""
    group: str
    """With `{group}`."""
    levels: int
    """Most levels of a topic name."""

    def of(self, address: Address) -> str:
        """Return the topic name.

        Raises:
            MessageError: not exactly one of the three is given, or it is none.
        """
        given = (address.topic, address.client_id, address.group)
        if given.count(None) != 2:
            if given.count(None) == 3:
                raise MessageError("it is missing (or clientId, or group)", "topic")
            raise MessageError("give exactly one of topic, clientId and group", "topic")
        if address.client_id is not None:
            level = check_level(address.client_id, "clientId")
            return self._filled(self.client, CLIENT_PLACEHOLDER, level, "clientId")
        if address.group is not None:
            level = check_level(address.group, "group")
            return self._filled(self.group, GROUP_PLACEHOLDER, level, "group")
        return check_topic(address.topic or "", self.levels)

    def _filled(self, template: str, placeholder: str, level: str, field: str) -> str:
        return check_topic(template.replace(placeholder, level), self.levels, field)


def check_level(name: str, field: str) -> str:
    """Return a client id or a group's name: one level of a topic, never more.

    Raises:
        MessageError: it is not.
    """
    if not name:
        raise MessageError("it has at least one character", field)
    if len(name) > _LONGEST_ID:
        raise MessageError(f"at most {_LONGEST_ID} characters", field, FaultKind.SIZE)
    if any(character in name for character in "+#/"):
        raise MessageError("it has none of + # /", field)
    if UNPRINTABLE.search(name):
        raise MessageError("control characters, NUL among them, are not allowed", field)
    return name
