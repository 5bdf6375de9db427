"""What is known of a client."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class State(StrEnum):
    """Whether a client is there."""

    ONLINE = "online"
    OFFLINE = "offline"
    UNKNOWN = "unknown"
    """Its node does not answer; or a session ended whose beginning was never heard of. The
    brokers' session lists decide."""


class Record(msgspec.Struct, frozen=True, array_like=True):
    """Presence of one client, as it is stored. Times are milliseconds since the epoch."""

    client_id: str
    state: State
    node: str
    """The node that the client is on, or was last on."""
    since: int
    """When it came into this state."""
    last_seen: int
    """When it was last heard of."""
    registered_at: int = 0
    """When its newest session began, or when it was found in a session list; 0 if neither."""
    ended_node: str = ""
    """Node of the session that ended last, and"""
    ended_at: int = 0
    """when that was: a beginning that arrives after its end must not bring the client back."""
    sessions: int = 0
    """Sessions that were heard of in time."""
