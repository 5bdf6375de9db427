"""Which way a message goes: straight to the broker, or by the outbox.

Straight, if its caller waits and nobody was promised anything: the answer is the promise, and it
comes after the broker's. By the outbox, if it came with an `Idempotency-Key`, if the brokers are
away, or if others went that way and it must not overtake them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from liveconnect.gateway.adapters.outboxfile import OutboxFile
from liveconnect.gateway.adapters.outboxlink import OutboxLink
from liveconnect.gateway.messages import Message
from liveconnect.gateway.outbox import (
    KEPT_SECONDS,
    Claim,
    ConcludedError,
    KeyReusedError,
    OutboxFailedError,
    OutboxFullError,
    Stored,
    Used,
    receipt_of,
)
from liveconnect.gateway.publishing import (
    BusyError,
    Link,
    LinkDownError,
    PublishError,
    Receipt,
    ShareError,
)

_FAIR_FROM: Final = 0.5
"""Share of the outbox above which each caller may have only its part."""


class Dispatch:
    """Sends each message its way; implements `publishing.Link` for routes and batches."""

    def __init__(
        self,
        link: Link,
        outbox: OutboxLink,
        file: OutboxFile,
        most: int,
        clock: Callable[[], float],
    ) -> None:
        """Make it.

        Args:
            link: straight to the broker.
            outbox: on disk, then to the broker.
            file: of the outbox.
            most: messages that the outbox may hold.
            clock: seconds since the epoch.
        """
        self._link = link
        self._outbox = outbox
        self._file = file
        self._most = most
        self._clock = clock
        self._claiming: dict[tuple[str, str], Used] = {}

    def why_down(self) -> str | None:
        """Return why nothing can be published now; None if it can."""
        return self._link.why_down()

    async def room(self) -> None:
        """Return when there is room for another message, or it will be stored."""
        await self._link.room()

    def publish(
        self,
        message: Message,
        caller: str,
        claim: Claim | None = None,
        *,
        patient: bool = False,
    ) -> asyncio.Future[Receipt]:
        """Publish.

        Args:
            message: what is published.
            caller: whose message it is.
            claim: its `Idempotency-Key`; not for QoS 0.
            patient: whether the caller rather waits for room than has it stored.

        Raises:
            PublishError: it failed at once.
        """
        if message.qos == 0:
            return self._link.publish(message, caller)
        if claim is not None:
            used = self.used(claim)
            return self._store(message, caller, claim) if used is None else self.repeat(used)
        if self._outbox.behind:
            return self._store(message, caller)
        try:
            return self._link.publish(message, caller)
        except BusyError:
            if patient:
                raise
            return self._store(message, caller)
        except LinkDownError:
            return self._store(message, caller)

    def used(self, claim: Claim) -> Used | None:
        """Return what is known of a key that was used before.

        Raises:
            KeyReusedError: for something else.
        """
        used = self._claiming.get((claim.caller, claim.key)) or self._file.used(
            claim.caller, claim.key, self._clock()
        )
        if used is not None and used.fingerprint != claim.fingerprint:
            raise KeyReusedError("Idempotency-Key: it was used for another request")
        return used

    def repeat(self, used: Used) -> asyncio.Future[Receipt]:
        """Return the outcome of a request that was made before.

        Raises:
            PublishError: as it was then.
        """
        if used.outcome is None:
            return self._outbox.join(used.seq)
        receipt = receipt_of(used.outcome)
        if receipt is None:
            raise ConcludedError(used.outcome)
        done: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        done.set_result(receipt)
        return done

    def store_again(self, message: Message, caller: str) -> None:
        """Put a message that was put aside back into the outbox.

        Raises:
            PublishError: there is no room.
        """
        self._check_room(caller)
        self._outbox.add(self._next(message, caller, keyed=False), None)

    def take_orphan(
        self, message: Message, caller: str, done: asyncio.Future[Receipt], error: PublishError
    ) -> bool:
        """Store a message that lost its connection; False if that could deliver it twice.

        QoS 1 may be sent again; QoS 2 only if it was not sent, or with its packet id, which the
        lost connection had.
        """
        if message.qos == 2 and error.sent:
            return False
        try:
            self._store(message, caller, done=done)
        except PublishError:
            return False
        return True

    def _store(
        self,
        message: Message,
        caller: str,
        claim: Claim | None = None,
        done: asyncio.Future[Receipt] | None = None,
    ) -> asyncio.Future[Receipt]:
        self._check_room(caller)
        stored = self._next(message, caller, keyed=claim is not None)
        done = done or asyncio.get_running_loop().create_future()
        if claim is not None:
            self._note(claim, stored.seq, int(self._clock()) + KEPT_SECONDS)
        self._outbox.add(stored, done)
        return done

    def _next(self, message: Message, caller: str, *, keyed: bool) -> Stored:
        """Return the message with the next number."""
        expiry = None if message.properties is None else message.properties.expiry
        expires = None if expiry is None else self._clock() + expiry
        seq = self._file.next_seq
        self._file.next_seq += 1
        return Stored(seq, message, caller, keyed, expires)

    def _note(self, claim: Claim, seq: int, expires: int) -> None:
        """Claim a key; until that is committed, it is known here."""
        name = (claim.caller, claim.key)
        self._claiming[name] = Used(claim.fingerprint, seq, None)

        def forget(_failure: OutboxFailedError | None) -> None:
            del self._claiming[name]

        self._file.claim(claim, seq, expires)
        self._file.after_commit(forget)

    def _check_room(self, caller: str) -> None:
        total, counts = self._outbox.total, self._outbox.messages
        if total >= self._most:
            raise OutboxFullError(f"the outbox is full: {self._most} messages")
        if total >= _FAIR_FROM * self._most:
            share = self._most // (len(counts) + (caller not in counts))
            if counts.get(caller, 0) >= share:
                raise ShareError(f"your share of the outbox is full: {share} messages")
