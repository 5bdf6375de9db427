"""What the gateway asks about clients."""

from __future__ import annotations

from typing import Protocol

import msgspec


class ClientPresence(msgspec.Struct, frozen=True, rename="camel"):
    """What the auth service says of a client; fields that it adds are not needed here."""

    client_id: str
    state: str
    """online, offline, unknown."""
    since: str = ""
    last_seen: str = ""

    @property
    def online(self) -> bool:
        """Whether the client is connected."""
        return self.state == "online"


class PresenceUnavailableError(Exception):
    """Nobody can say now; the text says why."""


class Presence(Protocol):
    """Who is online."""

    async def of(self, client_id: str) -> ClientPresence:
        """Return what is known of a client; state `unknown` if nothing is.

        Raises:
            PresenceUnavailableError: nobody can say now.
        """
