"""Revocations come into force: hooks refuse, and live sessions are disconnected.

Every replica reads the whole log and does everything by itself: disconnecting somebody who is not
there is no fault, and no replica has to be there for another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from prometheus_client import Counter, Gauge

from liveconnect.common.logs import get_logger
from liveconnect.common.tokens import Verified
from liveconnect.webhook.adapters.brokers import BrokerUnavailableError
from liveconnect.webhook.adapters.revocation_log import BEGINNING, Entry, RevocationLog
from liveconnect.webhook.adapters.session_index import SessionIndex
from liveconnect.webhook.adapters.store_connection import StoreUnavailableError
from liveconnect.webhook.revocations import Revocation, Revoked

_POLL_SECONDS: Final = 1.0
_ROUNDS: Final = (0.0, 1.5, 1.5)
"""Pauses before the rounds in which sessions are disconnected: a client may be on its way in, let
in by a replica that had not read the entry yet."""
_FRESH_SECONDS: Final = 120.0
"""Sessions are disconnected for entries that are younger: at a start the older ones were done."""
_AT_ONCE: Final = 32
_GRACE_SECONDS: Final = 30.0

IN_FORCE: Final = Gauge("liveconnect_webhook_revocations", "Revocations that are in force.")
DISCONNECTS: Final = Counter(
    "liveconnect_webhook_revocation_disconnects_total",
    "Commands to brokers to disconnect a revoked client, by outcome (told, failed).",
    ["outcome"],
)

_log = get_logger(__name__)


class Disconnecting(Protocol):
    """What is needed of the brokers."""

    async def addresses(self) -> frozenset[str]:
        """Return the addresses of all nodes."""

    async def disconnect(self, address: str, client_id: str) -> None:
        """End a client's connection; raise `BrokerUnavailableError` if that cannot be told."""


class Enforcement:
    """Keeps the list of revocations, and enforces it."""

    def __init__(
        self,
        log: RevocationLog,
        index: SessionIndex,
        brokers: Disconnecting | None,
        issuers: Callable[[], Sequence[str]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make it.

        Args:
            log: the store's.
            index: tells who has a session.
            brokers: disconnect; without them sessions only end with their tokens.
            issuers: returns the issuers that are known.
            clock: returns seconds since the epoch.
        """
        self._log = log
        self._index = index
        self._brokers = brokers
        self._issuers = issuers
        self._clock = clock
        self._began = clock()
        self._last = BEGINNING
        self._wake = asyncio.Event()
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self.revoked = Revoked()
        self.loaded = False
        """Whether the log was read to its end once."""
        self.fault: str | None = None
        """Why the log could not be read the last time."""

    def covers(self, identity: Verified, client_id: str, now: float) -> bool:
        """Return whether a token is revoked."""
        return self.revoked.covers(identity, client_id, now)

    def admitted(self, client_id: str, identity: Verified) -> None:
        """Note that a client was let in, so that its session can be found."""
        self._index.put(client_id, identity)

    def wake(self) -> None:
        """Read the log now: something was added."""
        self._wake.set()

    def why_not_ready(self) -> str | None:
        """Return None once the log was read, or when it cannot be read for a while.

        With the store away there is a choice between letting revoked tokens in and letting nobody
        in. Other replicas, which know the list, go on without this one for that while.
        """
        if self.loaded or self._clock() - self._began > _GRACE_SECONDS:
            return None
        return f"the revocations are not read yet: {self.fault or 'under way'}"

    async def run(self) -> None:
        """Follow the log until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                for revocation in await self._follow():
                    tasks.create_task(self._disconnect(revocation))
                await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(_POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _follow(self) -> list[Revocation]:
        """Take what is new; return what is to be enforced on live sessions."""
        fresh: list[Revocation] = []
        try:
            while entries := await self._log.read_after(self._last):
                fresh += [one for entry in entries if (one := self._take(entry)) is not None]
        except StoreUnavailableError as error:
            self._failed(str(error))
        else:
            self._read()
        now = self._clock()
        self.revoked.forget(now)
        IN_FORCE.set(len(self.revoked))
        return [one for one in fresh if now - one.at < _FRESH_SECONDS]

    def _take(self, entry: Entry) -> Revocation | None:
        self._last = entry.id
        if entry.withdrawn:
            self.revoked.remove(entry.withdrawn)
        if entry.revocation is not None:
            self.revoked.add(entry.revocation)
        return entry.revocation

    def _failed(self, reason: str) -> None:
        if reason != self.fault:
            _log.warning("revocations cannot be read", reason=reason, known=len(self.revoked))
        self.fault = reason

    def _read(self) -> None:
        if self.fault is not None or not self.loaded:
            _log.info("revocations read", in_force=len(self.revoked))
        self.fault, self.loaded = None, True

    async def _disconnect(self, revocation: Revocation) -> None:
        if self._brokers is None:
            return
        told: set[str] = set()
        for pause in _ROUNDS:
            await asyncio.sleep(pause)
            if self.revoked.get(revocation.id) is None:
                return  # withdrawn
            told |= await self._round(revocation, self._brokers)
        _log.info("revocation enforced", id=revocation.id, clients=len(told))

    async def _round(self, revocation: Revocation, brokers: Disconnecting) -> frozenset[str]:
        issuers = [revocation.issuer] if revocation.issuer else self._issuers()
        try:
            clients = await self._index.clients(revocation, issuers)
        except StoreUnavailableError as error:
            self._failed(str(error))
            return frozenset()
        addresses = await brokers.addresses()
        await asyncio.gather(
            *(self._tell(brokers, at, client) for at in addresses for client in clients)
        )
        return clients

    async def _tell(self, brokers: Disconnecting, address: str, client_id: str) -> None:
        async with self._turn:
            try:
                await brokers.disconnect(address, client_id)
            except BrokerUnavailableError as error:
                DISCONNECTS.labels("failed").inc()
                _log.warning(
                    "a revoked client could not be disconnected",
                    client_id=client_id,
                    reason=str(error),
                )
            else:
                DISCONNECTS.labels("told").inc()
