"""What the presence API answers, but for the stream of changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from liveconnect.common.problem import Problem
from liveconnect.webhook.adapters.store_connection import StoreUnavailableError
from liveconnect.webhook.auditor import AUDITED_MARK
from liveconnect.webhook.presence import Record, State
from liveconnect.webhook.presence.times import rfc3339
from liveconnect.webhook.presence_parts import PresenceParts
from liveconnect.webhook.queries import PageQuery, encode_cursor


class ClientView(msgspec.Struct, frozen=True, rename="camel"):
    """A client, one of many."""

    client_id: str
    state: str
    node: str
    since: str
    last_seen: str


class PresenceView(ClientView, frozen=True, rename="camel"):
    """A client that was asked for."""

    stale_seconds: float
    """Age of the oldest event that waits here for the store; 0 if none does. What another replica
    has waiting is not known."""


class PageView(msgspec.Struct, frozen=True, rename="camel"):
    """Some clients."""

    items: Sequence[ClientView]
    next: str | None
    """Cursor of the next page."""
    changes_from: str
    """From here on the changes tell all that this page does not know."""


class LookupView(msgspec.Struct, frozen=True, rename="camel"):
    """Clients that were asked for by their ids."""

    items: Sequence[ClientView]
    missing: Sequence[str]
    """Never seen, or forgotten."""


class StepView(msgspec.Struct, frozen=True, rename="camel"):
    """One of a client's changes."""

    state: str
    node: str
    since: str


class HistoryView(msgspec.Struct, frozen=True, rename="camel"):
    """A client's last changes, the newest first."""

    client_id: str
    window_seconds: int
    changes: Sequence[StepView]


class CountsView(msgspec.Struct, frozen=True, rename="camel"):
    """How many clients are in each state."""

    online: int
    offline: int
    unknown: int
    nodes: Mapping[str, Mapping[str, int]]
    audited_at: str | None
    """Up to when the records were compared with the session lists of all nodes that answer."""


class Clients:
    """Answers questions about presence."""

    def __init__(self, presence: PresenceParts, clock: Callable[[], float]) -> None:
        self._presence = presence
        self._clock = clock

    async def one(self, client_id: str) -> PresenceView:
        """Return what is known of a client.

        Raises:
            Problem: 404 if nothing is, 503 if the store does not answer.
        """
        with _answering():
            stored = await self._presence.store.read([client_id])
        record = stored[client_id].record
        if record is None:
            raise Problem(404, "no such client was ever seen here")
        view = msgspec.structs.asdict(_view(record))
        return PresenceView(**view, stale_seconds=self._stale_seconds())

    async def many(self, client_ids: Sequence[str]) -> LookupView:
        """Return what is known of some clients.

        Raises:
            Problem: 503 if the store does not answer.
        """
        with _answering():
            stored = await self._presence.store.read(client_ids)
        records = [stored[client_id].record for client_id in client_ids]
        missing = [c for c, record in zip(client_ids, records, strict=True) if record is None]
        return LookupView([_view(record) for record in records if record is not None], missing)

    async def page(self, query: PageQuery) -> PageView:
        """Return some clients of a selection.

        Raises:
            Problem: 503 if the store does not answer.
        """
        with _answering():
            before = await self._presence.changes.newest()
            directory, prefix = self._presence.directory, query.selection.prefix
            page = (
                await directory.members(query.group, prefix, query.after, query.limit)
                if query.group
                else await directory.page(query.selection, query.after, query.limit)
            )
        following = None if page.next is None else encode_cursor(page.next)
        return PageView([_view(record) for record in page.records], following, str(before))

    async def counts(self) -> CountsView:
        """Return how many clients there are.

        Raises:
            Problem: 503 if the store does not answer.
        """
        with _answering():
            counts = await self._presence.directory.counts()
            audited = await self._presence.marks.noted(AUDITED_MARK)
        nodes: dict[str, dict[str, int]] = {}
        for (state, node), count in sorted(counts.items()):
            nodes.setdefault(node, {})[state.value] = count
        totals = {s.value: _total(counts, s) for s in State}
        at = None if audited is None else rfc3339(int(audited))
        return CountsView(**totals, nodes=nodes, audited_at=at)

    async def history(self, client_id: str) -> HistoryView:
        """Return a client's last changes.

        Raises:
            Problem: 404 if there are none, 503 if the store does not answer.
        """
        window = self._presence.store.retention.history_seconds
        with _answering():
            changes = await self._presence.store.history(client_id)
        if not changes:
            raise Problem(404, "no change of such a client is remembered")
        oldest = int(self._clock() * 1000) - window * 1000
        steps = [
            StepView(change.state.value, change.node, rfc3339(change.since))
            for index, change in enumerate(changes)
            if index == 0 or change.since >= oldest
        ]
        return HistoryView(client_id, window, steps)

    def _stale_seconds(self) -> float:
        oldest = self._presence.queue.oldest_at
        return 0.0 if oldest is None else round(max(self._clock() - oldest / 1000, 0.0), 3)


class _answering:  # noqa: N801 - reads as a statement
    """Turns a store that does not answer into a 503."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        if isinstance(error, StoreUnavailableError):
            raise Problem(503, "the presence store does not answer", {"Retry-After": "2"}) from None


def _view(record: Record) -> ClientView:
    return ClientView(
        record.client_id,
        record.state.value,
        record.node,
        rfc3339(record.since),
        rfc3339(record.last_seen),
    )


def _total(counts: Mapping[tuple[State, str], int], state: State) -> int:
    found: Iterable[int] = (count for (kind, _), count in counts.items() if kind is state)
    return sum(found)
