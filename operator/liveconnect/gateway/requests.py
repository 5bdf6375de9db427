"""Requests to devices that wait for their answers, and answers that wait to be fetched.

Who asks waits, or comes back within minutes. Both are bounded in number and time. What somebody may
come back for is written down before it is asked (`remembered.Journal`); what only waits is not.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from liveconnect.gateway import metrics
from liveconnect.gateway.messages import RequestId
from liveconnect.gateway.publishing import BusyError, PublishError, Receipt, ShareError
from liveconnect.gateway.remembered import Journal, Remembered
from liveconnect.gateway.replies import Reply, ReplyTopics

KEPT_SECONDS: Final = 600.0
"""How long an answer can be fetched."""
KEPT_BYTES: Final = 64 * 1024 * 1024
KEPT_MOST: Final = 10_000
_FRAME_BYTES: Final = 1024
"""What an entry takes besides its answer, about."""


class Heard(StrEnum):
    """What became of a message on a topic of answers."""

    TAKEN = "taken"
    MALFORMED = "malformed"
    """Its topic is none."""
    SIZE = "too-long"
    UNKNOWN = "unknown"
    """Nobody waits: never asked, fetched already, or forgotten."""
    CLIENT = "wrong-client"
    CORRELATION = "wrong-correlation"
    LATE = "late"
    DUPLICATE = "duplicate"


class Asked(msgspec.Struct, eq=False):
    """One request to a device."""

    request: RequestId
    caller: str
    client_id: str
    timeout: int
    expires: float
    """When its answer is of no use any more: seconds since the epoch."""
    kept: bool
    """Whether somebody may come back for the answer: then it is written down."""
    done: asyncio.Future[None]
    """Done when nobody need wait longer: answered, expired, forgotten, or the process ends."""
    publishing: asyncio.Future[Receipt] | None = None
    acknowledged: bool = False
    """Whether a broker has said that it has the request."""
    answer: Reply | None = None
    finished: float = 0.0
    """When it was answered or expired: seconds since the epoch."""

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        if self.answer is None:
            return _FRAME_BYTES
        texts = sum(len(name) + len(value) for name, value in self.answer.user)
        return _FRAME_BYTES + len(self.answer.payload) + texts


def token_of(caller: str, key: str | None) -> str:
    """Return the token of a request: with an `Idempotency-Key` the same again, else a new one."""
    if key is None:
        return secrets.token_hex(16)
    name = f"{caller} {key}".encode()
    return hashlib.blake2b(name, digest_size=16, person=b"request").hexdigest()


class Requests:
    """All of this pod."""

    def __init__(
        self, pod: int, topics: ReplyTopics, most: int, longest: int, journal: Journal
    ) -> None:
        """Make it.

        Args:
            pod: its ordinal.
            topics: of answers.
            most: requests that may wait for their answer.
            longest: bytes of an answer.
            journal: where it is written down what somebody may come back for.
        """
        self.pod = pod
        self.closed = False
        """Whether this process ends. What is written down still waits: for the next one."""
        self._journal = journal
        self._topics = topics
        self._most = most
        self._longest = longest
        self._waiting: dict[str, Asked] = {}
        self._by_caller: dict[str, int] = {}
        self._finished: dict[str, Asked] = {}
        """In the order in which they finished."""
        self._finished_bytes = 0

    @property
    def waiting(self) -> int:
        """How many wait for their answer."""
        return len(self._waiting)

    def begin(
        self, token: str, caller: str, client_id: str, timeout: int, now: float, *, kept: bool
    ) -> Asked:
        """Wait for an answer from now on.

        Args:
            token: of the request, which is not known yet.
            caller: who asks.
            client_id: who is asked.
            timeout: seconds that the answer may take.
            now: seconds since the epoch.
            kept: whether somebody may come back for the answer.

        Raises:
            PublishError: too many wait.
        """
        self._check_room(caller)
        asked = Asked(
            RequestId(self.pod, token), caller, client_id, timeout, now + timeout, kept,
            asyncio.get_running_loop().create_future(),
        )  # fmt: skip
        self._wait_for(asked)
        if kept:
            self._journal.add(Remembered(token, caller, client_id, timeout, asked.expires))
        return asked

    def _wait_for(self, asked: Asked) -> None:
        self._waiting[asked.request.token] = asked
        self._by_caller[asked.caller] = self._by_caller.get(asked.caller, 0) + 1

    def restore(self, remembered: Iterable[Remembered], now: float) -> None:
        """Take up what an earlier process wrote down; nobody waits for it here yet."""
        finished = []
        for one in remembered:
            asked = Asked(
                RequestId(self.pod, one.token), one.caller, one.client_id, one.timeout, one.expires,
                True, asyncio.get_running_loop().create_future(), None, one.acknowledged,
                one.answer, one.finished,
            )  # fmt: skip
            if one.answer is None and one.expires > now:
                self._wait_for(asked)
                continue
            if one.answer is None:
                asked.finished = one.expires
            asked.done.set_result(None)
            finished.append(asked)
        for asked in sorted(finished, key=lambda asked: asked.finished):
            self._keep(asked)
        self.sweep(now)

    def _check_room(self, caller: str) -> None:
        """Let callers take what they like of half of the room, and their share of the rest."""
        total, counts = len(self._waiting), self._by_caller
        if self.closed or total >= self._most:
            raise BusyError(f"{self._most} requests wait for an answer already")
        if total * 2 >= self._most:
            share = self._most // (len(counts) + (caller not in counts))
            if counts.get(caller, 0) >= max(share, 1):
                raise ShareError(f"{share} of your requests wait for an answer already")

    def publishes(self, asked: Asked, publishing: asyncio.Future[Receipt], qos: int) -> None:
        """Note that a request is on its way."""
        asked.publishing = publishing
        publishing.add_done_callback(lambda done: self._note(asked, done, qos))

    def _note(self, asked: Asked, done: asyncio.Future[Receipt], qos: int) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if isinstance(error, PublishError):
            metrics.not_published(qos, error)
        elif error is None:
            metrics.published_one(qos, done.result())
            asked.acknowledged = done.result() is Receipt.ACKNOWLEDGED
            if asked.acknowledged and asked.kept:
                self._journal.acknowledge(asked.request.token)

    def find(self, token: str) -> Asked | None:
        """Return a request that is remembered."""
        return self._waiting.get(token) or self._finished.get(token)

    def awaits(self, asked: Asked) -> bool:
        """Return whether its answer would be taken, if it came in time."""
        return self._waiting.get(asked.request.token) is asked

    def hear(self, reply: Reply, now: float) -> Heard:
        """Take an answer, or drop it; returns what became of it."""
        read = self._topics.read(reply.topic)
        if read is None or read[1].pod != self.pod:
            return Heard.MALFORMED
        client_id, request = read
        asked = self.find(request.token)
        if asked is None:
            return Heard.UNKNOWN
        fault = self._fault(asked, client_id, reply, now)
        if fault is None:
            asked.answer = reply
            if asked.kept:
                self._journal.answer(request.token, reply, now)
            self._finish(asked, now)
        return fault or Heard.TAKEN

    def _fault(self, asked: Asked, client_id: str, reply: Reply, now: float) -> Heard | None:
        """Why this is no answer."""
        fault = None
        if client_id != asked.client_id:
            fault = Heard.CLIENT
        elif reply.correlation not in {None, str(asked.request).encode()}:
            fault = Heard.CORRELATION
        elif asked.answer is not None:
            fault = Heard.DUPLICATE
        elif asked.expires <= now or not self.awaits(asked):
            fault = Heard.LATE
        elif len(reply.payload) > self._longest:
            fault = Heard.SIZE
        return fault

    def expire(self, asked: Asked, now: float) -> None:
        """Wait for an answer no longer."""
        if self.awaits(asked):
            self._finish(asked, now)

    def forget(self, asked: Asked, outcome: str = "abandoned") -> None:
        """Remember a request no longer; its answer is dropped."""
        token = asked.request.token
        if self.awaits(asked):
            metrics.request_ended(outcome)
            self._stop_waiting(asked)
            self._unwrite(asked)
        elif self._finished.get(token) is asked:
            self._drop(token)

    def release(self, asked: Asked) -> None:
        """Let go of a request whose caller waits no longer, if nobody comes back for it."""
        if not asked.kept:
            self.forget(asked)

    def sweep(self, now: float) -> None:
        """End what has waited too long, and forget what nobody fetched."""
        for asked in [asked for asked in self._waiting.values() if asked.expires <= now]:
            self._finish(asked, now)
        while self._finished:
            token, oldest = next(iter(self._finished.items()))
            if oldest.finished + KEPT_SECONDS > now:
                return
            self._drop(token)

    def close(self) -> None:
        """Let nobody wait any longer: this process ends."""
        self.closed = True
        for asked in self._waiting.values():
            if not asked.done.done():
                asked.done.set_result(None)

    @property
    def _crowded(self) -> bool:
        return self._finished_bytes > KEPT_BYTES or len(self._finished) > KEPT_MOST

    def _finish(self, asked: Asked, now: float) -> None:
        self._stop_waiting(asked)
        asked.finished = now
        if asked.answer is None:
            metrics.request_ended("expired")
        else:
            metrics.request_answered(now - asked.expires + asked.timeout)
        self._keep(asked)

    def _keep(self, asked: Asked) -> None:
        self._finished[asked.request.token] = asked
        self._finished_bytes += asked.size
        while self._crowded:
            self._drop(next(iter(self._finished)))

    def _stop_waiting(self, asked: Asked) -> None:
        del self._waiting[asked.request.token]
        left = self._by_caller[asked.caller] - 1
        if left:
            self._by_caller[asked.caller] = left
        else:
            del self._by_caller[asked.caller]
        if not asked.done.done():
            asked.done.set_result(None)

    def _drop(self, token: str) -> None:
        asked = self._finished.pop(token)
        self._finished_bytes -= asked.size
        self._unwrite(asked)

    def _unwrite(self, asked: Asked) -> None:
        if asked.kept:
            self._journal.remove(asked.request.token)
