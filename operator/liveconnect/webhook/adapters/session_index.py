"""Which clients a subject, or a token, connected with: to find the sessions that a revocation ends.

And the groups that their tokens named (`group_index`).

VerneMQ holds a client up until its hook is answered, so entries are queued here and written soon.
An entry that was lost costs promptness, not safety: a revoked token is refused by every hook, and
its session ends with it at the latest.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from prometheus_client import Counter, Gauge

from liveconnect.common.tokens import TokenKind, Verified
from liveconnect.webhook.adapters.commands import Commands
from liveconnect.webhook.adapters.group_index import GroupIndex
from liveconnect.webhook.adapters.store_connection import StoreUnavailableError
from liveconnect.webhook.revocations import Kind, Revocation

MAX_QUEUED: Final = 100_000
_BATCH: Final = 100
"""Written at a time: 3 ms, in which no hook is answered."""
_SUBJECT_SECONDS: Final = 31 * 24 * 3600
"""A bit longer than any session lasts (`contract.answers.MAX_LIFETIME_SECONDS`)."""
_LEEWAY_SECONDS: Final = 600.0
"""More than clocks differ: whose token ended before has no session any more."""
_RETRY_SECONDS: Final = 1.0
_GATHERING_SECONDS: Final = 0.02
"""Pause after a write, in which entries gather: one write for many costs each of them little."""

QUEUED: Final = Gauge(
    "liveconnect_webhook_session_index_queue", "Admitted clients that are not yet in the index."
)
DROPPED: Final = Counter(
    "liveconnect_webhook_session_index_dropped_total",
    "Admitted clients that never got into the index, the queue being full.",
)


class _Admitted(msgspec.Struct, frozen=True, gc=False):
    client_id: str
    issuer: str
    subject: str
    token_id: str
    expires_at: float
    groups: frozenset[str] | None
    """None for what is no device."""


class SessionIndex:
    """Notes who connected, and finds them."""

    def __init__(
        self,
        store: Commands,
        key: Callable[[str], str],
        groups: GroupIndex | None = None,
        *,
        max_queued: int = MAX_QUEUED,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make it.

        Args:
            store: where it is.
            key: returns the full name of a key.
            groups: notes the groups of devices, too.
            max_queued: entries that wait at most.
            clock: returns seconds since the epoch.
        """
        self._store = store
        self._key = key
        self._groups = groups
        self._clock = clock
        self._max_queued = max_queued
        self._queue: deque[_Admitted] = deque()
        self._filled = asyncio.Event()

    def put(self, client_id: str, identity: Verified) -> None:
        """Note that a client was let in; never waits, never fails."""
        if len(self._queue) >= self._max_queued:
            self._queue.popleft()
            DROPPED.inc()
        self._queue.append(
            _Admitted(
                client_id,
                identity.issuer,
                identity.subject,
                identity.token_id,
                identity.expires_at,
                identity.groups if identity.kind is TokenKind.DEVICE else None,
            )
        )
        self._filled.set()

    async def run(self) -> None:
        """Write entries until cancelled."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
                await self._write(batch)
                QUEUED.set(len(self._queue))
            await asyncio.sleep(_GATHERING_SECONDS)

    async def _write(self, batch: Sequence[_Admitted]) -> None:
        now = self._clock()
        entries = dict.fromkeys(batch)  # who comes again at once is one entry
        commands = [command for entry in entries for command in self._commands(entry, now)]
        while True:
            try:
                await self._store.written(*commands)
            except StoreUnavailableError:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    def _commands(self, entry: _Admitted, now: float) -> list[tuple[Any, ...]]:
        commands: list[tuple[Any, ...]] = []
        if entry.subject:
            key = self._name(Kind.SUBJECT, entry.issuer, entry.subject)
            commands += [
                ("ZADD", key, entry.expires_at, entry.client_id),
                ("EXPIRE", key, _SUBJECT_SECONDS),
            ]
        if entry.token_id:
            key = self._name(Kind.TOKEN, entry.issuer, entry.token_id)
            lifetime = min(max(int(entry.expires_at - now), 0) + 60, _SUBJECT_SECONDS)
            commands.append(("SET", key, entry.client_id, "EX", lifetime))
        if self._groups is not None and entry.groups is not None:
            commands += self._groups.note(entry.client_id, entry.groups)
        return commands

    async def clients(self, revocation: Revocation, issuers: Sequence[str]) -> frozenset[str]:
        """Return the clients that may have a session by what is revoked.

        Args:
            revocation: what is.
            issuers: those that the revocation may mean.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        if revocation.kind is Kind.CLIENT:
            return frozenset({revocation.value})
        keys = [self._name(revocation.kind, issuer, revocation.value) for issuer in issuers]
        if revocation.kind is Kind.TOKEN:
            found = await self._store.pipelined(*(("GET", key) for key in keys))
            return frozenset(client_id.decode() for client_id in found if client_id is not None)
        live = ("ZRANGEBYSCORE", self._clock() - _LEEWAY_SECONDS, "+inf")
        answers = await self._store.pipelined(*((live[0], key, *live[1:]) for key in keys))
        return frozenset(client_id.decode() for clients in answers for client_id in clients)

    def _name(self, kind: Kind, issuer: str, value: str) -> str:
        # Hashed: a key is no place for a name of any length, nor for whose it is.
        digest = hashlib.sha256(f"{issuer}\0{value}".encode("utf-8", "surrogatepass")).hexdigest()
        return self._key(f"sessions:{kind.value}:{digest[:40]}")
