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
from liveconnect.gateway.messages import Delivery, Message, MessageError, Publication
from liveconnect.gateway.publishing import BusyError, Link, PublishError

_SENT: Final = b'{"index":%d,"status":202,"result":"sent"}'
_ACKNOWLEDGED: Final = b'{"index":%d,"status":200,"result":"acknowledged"}'

Admit = Callable[[Publication], Message]
"""Lets a publication pass, or raises a Problem."""


class Batch:
    """One batch on its way."""

    def __init__(self, link: Link, admit: Admit) -> None:
        self._link = link
        self._admit = admit
        self._results: list[bytes] = []
        self._outstanding: deque[tuple[int, Message, asyncio.Future[None]]] = deque()

    async def publish(self, items: Sequence[Publication | MessageError]) -> Response:
        """Publish, and return the answer when each item has its result."""
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
        body = b"\n".join(self._results) + b"\n"
        return Response(body, content_type="application/x-ndjson")

    def _message(self, item: Publication | MessageError) -> Message:
        if isinstance(item, MessageError):
            raise answers.of_message_error(item)
        if item.delivery is not Delivery.ACCEPTED:
            raise Problem(422, "delivery: accepted only, in a batch", extra={"field": "delivery"})
        return self._admit(item)

    async def _send(self, index: int, message: Message) -> None:
        """Publish one; while there is no room, wait for those before it."""
        while True:
            try:
                done = self._link.publish(message)
            except BusyError as error:
                if not self._outstanding:
                    self._failed(index, message, error)
                    return
                await self._settle()
            except PublishError as error:
                self._failed(index, message, error)
                return
            else:
                self._outstanding.append((index, message, done))
                return

    async def _settle(self) -> None:
        """Take the result of the message that waits longest."""
        index, message, done = self._outstanding.popleft()
        try:
            await done
        except PublishError as error:
            self._failed(index, message, error)
        else:
            metrics.published_in_batch(message.qos)
            self._results[index] = (_ACKNOWLEDGED if message.qos else _SENT) % index

    def _failed(self, index: int, message: Message, error: PublishError) -> None:
        metrics.not_published(message.qos, error)
        self._results[index] = _of_problem(index, answers.of_publish_error(error))


def _of_problem(index: int, problem: Problem) -> bytes:
    document = msgspec.json.decode(problem.body(), type=dict[str, msgspec.Raw])
    return msgspec.json.encode({"index": index, **document})
