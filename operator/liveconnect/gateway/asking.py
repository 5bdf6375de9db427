"""`/v1/clients/{id}/requests` and `/v1/requests/{id}`: a backend asks a device and gets its answer.

While the answer is waited for the caller waits, too, or comes back for it (`Prefer`, RFC 7240).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from liveconnect.api.operands import RequestOptions
from liveconnect.common.problem import Problem
from liveconnect.common.server import Request, Response
from liveconnect.gateway import answers
from liveconnect.gateway.adapters.outboxfile import OutboxFile
from liveconnect.gateway.admission import KEY, Admission, checked_key, claim_of
from liveconnect.gateway.dispatch import Dispatch
from liveconnect.gateway.messages import (
    Address,
    Delivery,
    Message,
    MessageError,
    Preference,
    RequestId,
    Topics,
    parse_preference,
)
from liveconnect.gateway.messages.question import LEVELS, Question
from liveconnect.gateway.outbox import Claim, OutboxFailedError
from liveconnect.gateway.peers import Peers
from liveconnect.gateway.publishing import Hearing, Link, LinkDownError, PublishError, Receipt
from liveconnect.gateway.reading import Reader
from liveconnect.gateway.replies import Reply
from liveconnect.gateway.requests import Asked, Requests, token_of

REQUESTS: Final = "/v1/requests"
_BELOW: Final = f"{REQUESTS}/"
REQUESTS_OFF: Final = "requests to devices are off; see spec.gateway.requests"
_NO_STORE: Final = {"Cache-Control": "no-store"}


class ReplyView(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a device answered."""

    payload: str | None = None
    """The payload, if it is UTF-8; otherwise"""
    payload_base64: bytes | None = None
    """any bytes."""
    content_type: str | None = None
    user_properties: dict[str, str] = {}
    """Of a repeated name the last value."""


class RequestStatus(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A request to a device, and what has become of it."""

    id: str
    client_id: str
    status: str
    """`pending`, `answered` or `expired`."""
    acknowledged: bool
    """Whether a broker has said that it has the request."""
    expires_at: str
    """Until when an answer is waited for (RFC 3339)."""
    answer: ReplyView | None = None


class Asking:
    """Asks devices for callers."""

    def __init__(  # noqa: PLR0913 - one for each thing that is needed
        self,
        options: RequestOptions,
        levels: int,
        reader: Reader,
        admission: Admission,
        dispatch: Dispatch,
        link: Link,
        hearing: Hearing,
        requests: Requests,
        file: OutboxFile,
        peers: Peers,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make it.

        Args:
            options: where requests and answers go.
            levels: most levels of a topic name.
            reader: reads what is asked.
            admission: says who may.
            dispatch: publishes what came with an `Idempotency-Key`.
            link: publishes all else.
            hearing: hears the answers.
            requests: those that wait.
            file: where those are written down that somebody may come back for.
            peers: which pod knows which request.
            clock: seconds since the epoch.
        """
        self._reply_topic = options.reply_topic
        self._topics = Topics(options.topic, "", levels - LEVELS)
        self._reader = reader
        self._admission = admission
        self._dispatch = dispatch
        self._link = link
        self._hearing = hearing
        self._requests = requests
        self._file = file
        self._peers = peers
        self._clock = clock

    # --- asking

    async def ask(self, caller: str, request: Request, address: Address) -> Response:
        """Ask a device, and wait for its answer as the caller prefers.

        Raises:
            Problem: the device cannot be asked, or did not answer.
        """
        question = self._reader.read_question(request, address, self._topics)
        preference = parse_preference(request.headers.get(b"prefer"))
        seconds = _waits(preference, question.timeout)
        asked = await self._begin(caller, request.headers, question, kept=preference.later)
        try:
            until = min(self._clock() + seconds, asked.expires)
            return await self._conclude(asked, preference, until)
        finally:
            self._requests.release(asked)

    async def _begin(
        self, caller: str, headers: Mapping[bytes, bytes], question: Question, *, kept: bool
    ) -> Asked:
        """Publish the request, or find that it was published before."""
        key = headers.get(KEY)
        named = None if key is None else checked_key(key, question.publication.message.qos)
        token = token_of(caller, named)
        request_id = RequestId(self._requests.pod, token)
        message = self._reader.check_length(question.message(request_id, self._reply_topic))
        self._admission.check_topic(caller, message.topic)
        self._admission.take_quota(caller, 1)
        claim = claim_of(caller, headers, message)
        used = self._used(claim)
        online_only = question.publication.delivery is Delivery.ONLINE_ONLY
        if online_only and not used:
            await self._admission.require_online(question.publication.client_id)
            used = self._used(claim)  # by another call meanwhile
        known = self._requests.find(token)
        if known is not None:
            return known
        deafness = self._link.why_down() or self._hearing.why_deaf()
        try:
            if deafness is not None:
                raise LinkDownError(deafness, sent=used)
            asked = self._requests.begin(
                token, caller, question.publication.client_id or "", question.timeout,
                self._clock(), kept=kept or claim is not None,
            )  # fmt: skip
        except PublishError as error:
            raise answers.of_publish_error(error) from None
        try:
            publishing = await self._publish(asked, message, claim)
        except PublishError as error:
            self._requests.forget(asked, "failed")
            raise answers.of_publish_error(error) from None
        except asyncio.CancelledError:
            self._requests.forget(asked)
            raise
        self._requests.publishes(asked, publishing, message.qos)
        return asked

    async def _publish(
        self, asked: Asked, message: Message, claim: Claim | None
    ) -> asyncio.Future[Receipt]:
        """Publish a request, after it is written down if somebody may come back for it.

        With a key it goes by the outbox, which commits both at once before it sends.
        """
        if claim is not None:
            return self._dispatch.publish(message, asked.caller, claim)
        if asked.kept:
            await self._file.committed()
        return self._link.publish(message, asked.caller)

    def _used(self, claim: Claim | None) -> bool:
        """Whether the request was published before, under its key."""
        try:
            return claim is not None and self._dispatch.used(claim) is not None
        except PublishError as error:
            raise answers.of_publish_error(error) from None

    async def _conclude(self, asked: Asked, preference: Preference, until: float) -> Response:
        await self._published(asked)
        if not asked.done.done() and (left := until - self._clock()) > 0:
            await asyncio.wait([asked.done], timeout=left)
        if asked.answer is not None:
            return _json(self._view(asked))
        if self._requests.closed and not (preference.later and _is_published(asked)):
            detail = "this pod of the gateway ends; the device may have the request"
            raise Problem(503, detail, {"Retry-After": "1"}, _known(asked))
        if preference.later and self._is_pending(asked):
            await self._promise()
            headers = {
                "Location": f"{_BELOW}{asked.request}",
                "Preference-Applied": "respond-async",
                "Retry-After": "1",
            }
            return _json(self._view(asked), 202, headers)
        raise await self._unanswered(asked)

    async def _promise(self) -> None:
        """Return when what is written down survives the machine."""
        try:
            await self._file.synced()
        except OutboxFailedError as error:
            failure = OutboxFailedError(str(error))  # the other is of all who wait for the disk
            failure.sent = True
            raise answers.of_publish_error(failure) from None

    async def _published(self, asked: Asked) -> None:
        """Return when a broker has the request, the answer is there, or neither came in time."""
        publishing = asked.publishing
        if publishing is None:
            return
        left = max(asked.expires - self._clock(), 0)
        waited = (asked.done, publishing)
        await asyncio.wait(waited, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if asked.answer is not None or not publishing.done():
            return
        error = publishing.exception()
        if isinstance(error, PublishError):
            self._requests.forget(asked, "failed")
            raise answers.of_publish_error(error) from None

    async def _unanswered(self, asked: Asked) -> Problem:
        self._requests.expire(asked, self._clock())
        found = await self._admission.presence_of(asked.client_id)
        known = _known(asked)
        if found is not None:
            known["presence"] = msgspec.to_builtins(found)
        detail = f"the device did not answer within {asked.timeout} s"
        return Problem(504, detail, extra=known)

    # --- asking for the answer later

    def elsewhere(self, path: str) -> int | None:
        """Return the ordinal of the pod that knows a request; None if it is this one, or none."""
        request = RequestId.of(path.removeprefix(_BELOW))
        if request is None or request.pod == self._requests.pod:
            return None
        return request.pod if request.pod < self._peers.replicas else None

    def answer(self, caller: str, request: Request) -> Response:
        """Answer a request to `/v1/requests/{id}`.

        Raises:
            Problem: there is no such request, or not of this caller.
        """
        named = RequestId.of(request.path.removeprefix(_BELOW))
        found = None if named is None else self._requests.find(named.token)
        if found is None or found.caller != caller or found.request != named:
            raise Problem(404, "no such request of yours is remembered")
        if request.method == "DELETE":
            self._requests.forget(found)
            return Response(b"", 204)
        if request.method not in {"GET", "HEAD"}:
            raise Problem(405, "only GET and DELETE", {"Allow": "GET, HEAD, DELETE"})
        pending = self._is_pending(found)
        return _json(self._view(found), headers={"Retry-After": "1"} if pending else {})

    def _is_pending(self, asked: Asked) -> bool:
        return self._requests.awaits(asked) and asked.expires > self._clock()

    def _view(self, asked: Asked) -> RequestStatus:
        status = "pending" if self._is_pending(asked) else "expired"
        moment = datetime.fromtimestamp(asked.expires, UTC).isoformat(timespec="milliseconds")
        return RequestStatus(
            str(asked.request),
            asked.client_id,
            status if asked.answer is None else "answered",
            asked.acknowledged,
            moment.replace("+00:00", "Z"),
            None if asked.answer is None else _reply(asked.answer),
        )


def _is_published(asked: Asked) -> bool:
    return asked.publishing is None or asked.publishing.done()


def _waits(preference: Preference, timeout: int) -> int:
    try:
        return preference.seconds(timeout)
    except MessageError as error:
        raise answers.of_message_error(error) from None


def _reply(reply: Reply) -> ReplyView:
    try:
        text = reply.payload.decode("utf-8")
    except UnicodeDecodeError:
        return ReplyView(None, reply.payload, reply.content_type, dict(reply.user))
    return ReplyView(text, None, reply.content_type, dict(reply.user))


def _known(asked: Asked) -> dict[str, object]:
    """What a caller that gets no answer is told."""
    return {
        "id": str(asked.request),
        "clientId": asked.client_id,
        "sent": True,
        "acknowledged": asked.acknowledged,
    }


def _json(
    view: RequestStatus, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    body = msgspec.json.encode(view)
    return Response(body, status, headers={**_NO_STORE, **(headers or {})})
