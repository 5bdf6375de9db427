"""Which clients are online: a pure transition from a record and an event to a record.

Hook bodies name neither node nor session, so the endpoint URL does. On a take-over by another node
the old session's *gone* arrives after the new *register* (recorded): an offline event counts only
from the node that the client is on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class State(StrEnum):
    """What is known of a client."""

    ONLINE = "online"
    OFFLINE = "offline"


@dataclass(frozen=True)
class Record:
    """One client."""

    client_id: str
    state: State
    node: str
    since: int
    """When the state began (Unix milliseconds)."""
    seen: int
    """When the last event came (Unix milliseconds)."""


_ONLINE = frozenset({"on_register", "on_register_m5"})
_OFFLINE = frozenset({"on_client_gone", "on_client_offline", "on_session_expired"})


def transition(
    record: Record | None, hook: str, client_id: str, node: str, now: int
) -> Record | None:
    """The record after an event; the same object when the event changes nothing."""
    if hook in _ONLINE:
        if record is not None and record.state is State.ONLINE and record.node == node:
            return replace(record, seen=now)
        return Record(client_id, State.ONLINE, node, now, now)
    if hook not in _OFFLINE or record is None or record.node != node:
        return record
    if record.state is State.OFFLINE:
        return record
    return replace(record, state=State.OFFLINE, since=now, seen=now)
