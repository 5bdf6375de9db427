"""Taking part in the election: tries, renews, gives back; says when to act and when to stop.

`kubernetes.aio.leaderelection` is not used (docs/adr/0009): it compares times of day, a broken or
hanging connection ends it while its work goes on, and it never gives a Lease back.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol

from prometheus_client import Gauge

from liveconnect.controller.adapters.kube import KubeError
from liveconnect.controller.model.lease import Candidate, Record

_LOG = logging.getLogger(__name__)
_LEADING = Gauge("liveconnect_controller_leading", "1 when this process acts, 0 when it waits.")


class Lease(Protocol):
    """Where the record is kept."""

    async def read(self) -> Record | None:
        """Read it; None when there is none."""

    async def write(self, record: Record) -> None:
        """Write it unless somebody else did since the last read."""


class Leadership:
    """One candidate."""

    def __init__(
        self,
        lease: Lease,
        candidate: Candidate,
        lead: Callable[[], Awaitable[None]],
        follow: Callable[[], Awaitable[None]],
    ) -> None:
        self._lease = lease
        self._candidate = candidate
        self._lead = lead
        self._follow = follow
        self._acts = False

    async def run(self) -> None:
        """Take part until cancelled."""
        _LEADING.set(0)
        _LOG.info("%s takes part in the election", self._candidate.identity)
        while True:
            begun = time.monotonic()
            await self._attempt(begun)
            await self._tell()
            # Jitter as in client-go: candidates that began together do not stay together.
            due = begun + self._candidate.times.retry * (1 + secrets.randbelow(20) / 100)
            if self._acts:
                due = min(due, self._candidate.deadline)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _attempt(self, begun: float) -> None:
        """Read and, if it is ours to write, write; never longer than it may act without."""
        times = self._candidate.times
        limit = self._candidate.deadline - begun if self._acts else times.renew_within
        try:
            async with asyncio.timeout(max(limit, 0)):
                self._candidate = self._candidate.observe(
                    await self._lease.read(), time.monotonic()
                )
                sent = time.monotonic()
                claim = self._candidate.claim(sent, datetime.now(UTC))
                if claim is not None:
                    await self._lease.write(claim)
                    self._candidate = self._candidate.written(claim, sent)
        except (KubeError, TimeoutError) as error:
            _LOG.warning("the lease: %s", error or "the API server does not answer in time")

    async def _tell(self) -> None:
        leads = self._candidate.leads(time.monotonic())
        if leads == self._acts:
            return
        self._acts = leads
        _LEADING.set(int(leads))
        if leads:
            _LOG.info("%s leads now", self._candidate.identity)
            await self._lead()
        else:
            _LOG.warning("%s does not lead any more", self._candidate.identity)
            await self._follow()

    async def give_back(self) -> None:
        """Let another one begin at once; call it after the last write."""
        record = self._candidate.given_back(datetime.now(UTC))
        self._candidate = Candidate(identity=self._candidate.identity, times=self._candidate.times)
        if record is None:
            return
        try:
            async with asyncio.timeout(self._candidate.times.retry):
                await self._lease.write(record)
        except (KubeError, TimeoutError) as error:
            _LOG.warning("the lease is not given back and will run out: %s", error)
