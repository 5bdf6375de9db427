"""How events change a record.

Hook bodies carry neither node nor session. The node comes from the URL that a node calls; which
session an event belongs to follows from three facts of VerneMQ's contract:

- a client is on one node at a time, and the newest `on_register` says on which;
- when another node takes a client over, the old node's *gone* arrives **after** the new node's
  *register*: an end counts only if it comes from the node that the client is on;
- when the same node takes it over, the old *gone* arrives **before** the new *register*.

Replicas of the auth service write independently, so events can reach the store out of order. Their
times decide then, but for differences that the replicas' clocks may have.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from liveconnect.webhook.presence.record import Record, State

SKEW_MS = 50
"""Difference between two replicas' times that says nothing of the order of events; the order of
arrival decides then. More than synchronised clocks differ by, less than VerneMQ takes between a
session's end and the next one's beginning on the same node (100 ms, recorded)."""


class EventKind(StrEnum):
    """What happened to a client."""

    REGISTERED = "registered"
    """`on_register`: connected and let in."""
    ENDED = "ended"
    """`on_client_offline`, `on_client_gone`, `on_session_expired`."""
    WOKEN = "woken"
    """`on_client_wakeup`: a queue begins to serve a session. Says nothing new of presence."""


class Event(msgspec.Struct, frozen=True):
    """One presence event."""

    kind: EventKind
    client_id: str
    node: str
    """The node that told."""
    at: int
    """When it told (milliseconds since the epoch)."""


def transition(record: Record | None, event: Event, now: int) -> Record | None:
    """Return the record after an event; the same object if nothing changes.

    Applying an event twice is the same as applying it once, so a write whose outcome is unknown
    can be repeated.

    Args:
        record: what was known, None if nothing.
        event: what happened.
        now: milliseconds since the epoch; an event from the future is taken to be of now.
    """
    if event.kind is EventKind.WOKEN:
        return record
    at = min(event.at, now)
    if event.kind is EventKind.REGISTERED:
        return _registered(record, event, at)
    return _ended(record, event, at)


def _registered(record: Record | None, event: Event, at: int) -> Record:
    if record is None:
        return Record(
            event.client_id, State.ONLINE, event.node, at, at, registered_at=at, sessions=1
        )
    if record.registered_at == at and record.node == event.node:
        return record
    if record.registered_at > at + SKEW_MS:  # a newer session is known already
        return record
    over = record.ended_node == event.node and record.ended_at > at + SKEW_MS
    return msgspec.structs.replace(
        record,
        state=State.OFFLINE if over else State.ONLINE,
        node=event.node,
        since=record.ended_at if over else at,
        last_seen=max(record.last_seen, at),
        registered_at=at,
        sessions=record.sessions + 1,
    )


def _ended(record: Record | None, event: Event, at: int) -> Record:
    if record is None:
        return Record(
            event.client_id,
            State.UNKNOWN,
            event.node,
            at,
            at,
            ended_node=event.node,
            ended_at=at,
        )
    noted = _with_end(record, event.node, at)
    of_this_session = record.node == event.node and at + SKEW_MS >= record.registered_at
    if record.state is not State.ONLINE or not of_this_session:
        return noted
    return msgspec.structs.replace(
        noted, state=State.OFFLINE, since=at, last_seen=max(record.last_seen, at)
    )


def _with_end(record: Record, node: str, at: int) -> Record:
    if at <= record.ended_at:
        return record
    return msgspec.structs.replace(record, ended_node=node, ended_at=at)
