"""From events to records: read, apply, write unless somebody else was faster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from liveconnect.webhook.adapters.presence_store import Replacement, StoredRecord
from liveconnect.webhook.presence import Change, Event, Record, change_between, transition


class Store(Protocol):
    """What writing needs of the store."""

    async def read(self, client_ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        """Return the records of these clients."""

    async def write(self, replacements: Sequence[Replacement]) -> frozenset[str]:
        """Write records; return the client ids that somebody else changed in between."""


class Written(msgspec.Struct, frozen=True):
    """What became of some events."""

    records: Mapping[str, Record | None]
    """Records of these clients as they are now, those in `lost` excepted."""
    changed: int
    """Records that were written."""
    lost: frozenset[str]
    """Clients whose record somebody else changed in between: to be tried again."""


async def write_events(store: Store, events: Mapping[str, Sequence[Event]], now: int) -> Written:
    """Apply events to the records of their clients.

    Args:
        store: where the records are.
        events: by client id, in the order in which they are applied.
        now: milliseconds since the epoch.

    Raises:
        StoreUnavailableError: the store does not answer; some may have been written. Applying
            them again does no harm.
    """
    stored = await store.read(list(events))
    records: dict[str, Record | None] = {}
    replacements = []
    for client_id, happened in events.items():
        before = stored[client_id]
        record, changes = _applied(before.record, happened, now)
        records[client_id] = record
        if record is not None and record is not before.record:
            replacements.append(Replacement(record, before, changes))
    lost = await store.write(replacements) if replacements else frozenset()
    return Written(records, len(replacements) - len(lost), lost)


def _applied(
    record: Record | None, events: Sequence[Event], now: int
) -> tuple[Record | None, Sequence[Change]]:
    changes = []
    for event in events:
        before, record = record, transition(record, event, now)
        change = None if record is None else change_between(before, record)
        if change is not None:
            changes.append(change)
    return record, changes
