"""How events change a record.

Hook bodies carry neither node nor session. The node comes from the URL that a node calls; which
session an event belongs to follows from three facts of VerneMQ's contract:

- a client is on one node at a time, and the newest `on_register` says on which;
- when another node takes a client over, the old node's *gone* arrives **after** the new node's
  *register*: an end counts only if it comes from the node that the client is on;
- when the same node takes it over, the old *gone* arrives **before** the new *register*.

Replicas of the auth service write independently, so events can reach the store out of order. Their
times decide then, but for differences that the replicas' clocks may have.

No hook tells of a lost node, and a hook that nobody answered is never repeated. What the brokers'
own session lists say is therefore an event, too (docs/adr/0012-presence-audited-from-outside.md):
a later hook wins over it, and it wins over what was known before the list was read.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from liveconnect.webhook.presence.record import Record, State

SKEW_MS = 50
"""Difference between two replicas' times that says nothing of the order of events; the order of
arrival decides then. More than synchronised clocks differ by, less than VerneMQ takes between a
session's end and the next one's beginning on the same node (100 ms, recorded)."""


GRACE_MS = 2000
"""What changed this shortly before a session list was read, or since, is left to the hooks: a list
is read while sessions come and go, and a node that is taken over from still shows its session."""


class EventKind(StrEnum):
    """What happened to a client, or was seen of it."""

    REGISTERED = "registered"
    """`on_register`: connected and let in."""
    ENDED = "ended"
    """`on_client_offline`, `on_client_gone`, `on_session_expired`."""
    WOKEN = "woken"
    """`on_client_wakeup`: a queue begins to serve a session. Says nothing new of presence."""
    SEEN = "seen"
    """The node's own session list has it as connected."""
    ABSENT = "absent"
    """The node's own session list does not have it, twice; or the node is no more."""
    LOST = "lost"
    """The node does not answer: nobody can know."""


class Event(msgspec.Struct, frozen=True):
    """One presence event."""

    kind: EventKind
    client_id: str
    node: str
    """The node that told."""
    at: int
    """When it told, or when reading its list began (milliseconds since the epoch)."""


def transition(record: Record | None, event: Event, now: int) -> Record | None:
    """Return the record after an event; the same object if nothing changes.

    Applying an event twice is the same as applying it once, so a write whose outcome is unknown
    can be repeated.

    Args:
        record: what was known, None if nothing.
        event: what happened.
        now: milliseconds since the epoch; an event from the future is taken to be of now.
    """
    effect = _EFFECTS.get(event.kind)
    return record if effect is None else effect(record, event, min(event.at, now))


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
    if not of_this_session or not _is_there_perhaps(record):
        return noted
    return msgspec.structs.replace(
        noted, state=State.OFFLINE, since=at, last_seen=max(record.last_seen, at)
    )


def _is_there_perhaps(record: Record) -> bool:
    """Whether an end of its session would be news: not of one whose beginning was never heard."""
    if record.state is State.UNKNOWN:
        return record.registered_at > 0
    return record.state is State.ONLINE


def _seen(record: Record | None, event: Event, at: int) -> Record | None:
    if record is None:
        return Record(event.client_id, State.ONLINE, event.node, at, at, registered_at=at)
    if record.state is State.ONLINE and record.node == event.node:
        return record
    if _changed_lately(record, at):
        return record
    return msgspec.structs.replace(
        record,
        state=State.ONLINE,
        node=event.node,
        since=at,
        last_seen=max(record.last_seen, at),
        registered_at=at,
    )


def _absent(record: Record | None, event: Event, at: int) -> Record | None:
    if record is None or record.state is State.OFFLINE or record.node != event.node:
        return record
    if _changed_lately(record, at):
        return record
    return msgspec.structs.replace(
        record, state=State.OFFLINE, since=at, ended_node=event.node, ended_at=at
    )


def _lost(record: Record | None, event: Event, at: int) -> Record | None:
    if record is None or record.state is not State.ONLINE or record.node != event.node:
        return record
    if record.registered_at > at:  # it told of a client since: it is there
        return record
    return msgspec.structs.replace(record, state=State.UNKNOWN, since=at)


def _changed_lately(record: Record, at: int) -> bool:
    return max(record.registered_at, record.ended_at) > at - GRACE_MS


def _with_end(record: Record, node: str, at: int) -> Record:
    if at <= record.ended_at:
        return record
    return msgspec.structs.replace(record, ended_node=node, ended_at=at)


_EFFECTS: Final = {
    EventKind.REGISTERED: _registered,
    EventKind.ENDED: _ended,
    EventKind.SEEN: _seen,
    EventKind.ABSENT: _absent,
    EventKind.LOST: _lost,
}
