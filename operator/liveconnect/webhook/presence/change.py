"""What is told of a change to those who follow."""

from __future__ import annotations

import msgspec

from liveconnect.webhook.presence.record import Record, State


class Change(msgspec.Struct, frozen=True, array_like=True):
    """A client came into a state. Times are milliseconds since the epoch."""

    client_id: str
    state: State
    node: str
    since: int


def change_between(before: Record | None, after: Record) -> Change | None:
    """Return what is to be told, None if nothing is: a record notes more than others care for."""
    same = before is not None and (before.state, before.node, before.since) == (
        after.state,
        after.node,
        after.since,
    )
    return None if same else Change(after.client_id, after.state, after.node, after.since)
