"""`POST /v1/publish/batch`: many messages, a result for each, in their order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from liveconnect.common.problem import Problem
from liveconnect.common.server import Response
from liveconnect.gateway import answers, metrics
from liveconnect.gateway.dispatch import Dispatch
from liveconnect.gateway.messages import Delivery, Message, MessageError, Publication
from liveconnect.gateway.outbox import Claim, encode_message, fingerprint
from liveconnect.gateway.publishing import BusyError, PublishError, Receipt, ShareError

_RESULTS: Final = {
    Receipt.SENT: b'{"index":%d,"status":202,"result":"sent"}',
    Receipt.ACKNOWLEDGED: b'{"index":%d,"status":200,"result":"acknowledged"}',
    Receipt.STORED: b'{"index":%d,"status":202,"result":"stored"}',
}

_AT_ONCE: Final = 200
"""Messages of one batch that wait for the brokers: it shares them with all others."""

Admit = Callable[[Publication], Message]
"""Lets a publication pass, or raises a Problem."""


class Batch:
    """One batch on its way."""

    def __init__(
        self,
        dispatch: Dispatch,
        admit: Admit,
        caller: str,
        key: bytes | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        """Prepare it.

        Args:
            dispatch: what it is published by.
            admit: lets each message pass, or does not.
            caller: whose it is.
            key: its `Idempotency-Key`; each line's is this and its name.
            names: of its lines; their indexes if None.
        """
        self._dispatch = dispatch
        self._admit = admit
        self._caller = caller
        self._key = None if key is None else key.decode("ascii")
        self._names = names
        self._results: list[bytes] = []
        self._outstanding: deque[tuple[int, Message, asyncio.Future[Receipt]]] = deque()

    async def publish(self, items: Sequence[Publication | MessageError]) -> Response:
        """Publish, and return the answer when each item has its result."""
        body = b"\n".join(await self.results(items)) + b"\n"
        return Response(body, content_type="application/x-ndjson")

    async def results(self, items: Sequence[Publication | MessageError]) -> Sequence[bytes]:
        """Publish, and return each item's result when all have theirs."""
        self._results = [b""] * len(items)
        for index, item in enumerate(items):
            try:
                message = self._message(item)
            except Problem as problem:
                metrics.refused(problem.status)
                self._results[index] = _of_problem(index, problem)
            else:
                await self._send(index, message)
        while self._outstanding:
            await self._settle()
        return self._results

    def _message(self, item: Publication | MessageError) -> Message:
        if isinstance(item, MessageError):
            raise answers.of_message_error(item)
        if item.delivery is not Delivery.ACCEPTED:
            raise Problem(422, "delivery: accepted only, in a batch", extra={"field": "delivery"})
        return self._admit(item)

    async def _send(self, index: int, message: Message) -> None:
        """Publish one; wait for room if there is none."""
        claim = self._claim(index, message)
        while True:
            try:
                done = self._dispatch.publish(message, self._caller, claim, patient=True)
            except BusyError:
                await self._dispatch.room()
            except ShareError as error:
                if not self._outstanding:
                    self._failed(index, message, error)
                    return
                await self._settle()
            except PublishError as error:
                self._failed(index, message, error)
                return
            else:
                self._outstanding.append((index, message, done))
                if len(self._outstanding) >= _AT_ONCE:
                    # Not one at a time: that would be a wake-up and a write for each message.
                    while len(self._outstanding) > _AT_ONCE // 2:
                        await self._settle()
                return

    async def _settle(self) -> None:
        """Take the result of the message that waits longest."""
        index, message, done = self._outstanding.popleft()
        try:
            receipt = await done
        except PublishError as error:
            self._failed(index, message, error)
        else:
            metrics.published_one(message.qos, receipt)
            self._results[index] = _RESULTS[receipt] % index

    def _claim(self, index: int, message: Message) -> Claim | None:
        if self._key is None or message.qos == 0:
            return None
        # A caller's own keys have no space: this one is nobody else's.
        name = index if self._names is None else self._names[index]
        return Claim(self._caller, f"{self._key} {name}", fingerprint(encode_message(message)))

    def _failed(self, index: int, message: Message, error: PublishError) -> None:
        metrics.not_published(message.qos, error)
        self._results[index] = _of_problem(index, answers.of_publish_error(error))


def _of_problem(index: int, problem: Problem) -> bytes:
    document = msgspec.json.decode(problem.body(), type=dict[str, msgspec.Raw])
    return msgspec.json.encode({"index": index, **document})
