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


class CursorError(ValueError):
    """It is not what a page ended with."""


class Members(msgspec.Struct, frozen=True):
    """Which clients are meant: one of the three."""

    client_ids: tuple[str, ...] = ()
    prefix: str = ""
    """What their ids begin with."""
    group: str = ""
    """What their last token named."""


class MemberPage(msgspec.Struct, frozen=True):
    """Some of them."""

    clients: tuple[ClientPresence, ...]
    next: str | None
    """Where the next ones begin; None after the last."""


class Presence(Protocol):
    """Who is online."""

    async def of(self, client_id: str) -> ClientPresence:
        """Return what is known of a client; state `unknown` if nothing is.

        Raises:
            PresenceUnavailableError: nobody can say now.
        """

    async def members(self, members: Members, after: str | None, limit: int) -> MemberPage:
        """Return some clients.

        Args:
            members: which are meant.
            after: `next` of the page before; None for the first.
            limit: how many at most.

        Raises:
            PresenceUnavailableError: nobody can say now.
            CursorError: `after` is no such thing.
        """
