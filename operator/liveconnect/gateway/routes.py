"""HTTP: which path does what. 2xx only after what the QoS promises."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import unquote

import msgspec

from liveconnect.common.logs import get_logger
from liveconnect.common.problem import Problem
from liveconnect.common.server import (
    Answer,
    Operations,
    Pending,
    Request,
    Response,
    Stream,
    require_get,
)
from liveconnect.gateway import answers, metrics, openapi, parked
from liveconnect.gateway.adapters.forward import FORWARDED, Forwarder
from liveconnect.gateway.batches import Batch
from liveconnect.gateway.callers import Callers
from liveconnect.gateway.dispatch import Dispatch
from liveconnect.gateway.messages import (
    Address,
    Delivery,
    Message,
    MessageError,
    Permissions,
    Publication,
)
from liveconnect.gateway.outbox import Claim, check_key, encode_message, fingerprint
from liveconnect.gateway.parked import ParkedMessages
from liveconnect.gateway.peers import Peers
from liveconnect.gateway.presence import Presence, PresenceUnavailableError
from liveconnect.gateway.publishing import PublishError, Receipt
from liveconnect.gateway.quotas import Quotas
from liveconnect.gateway.reading import Reader

_PUBLISH: Final = "/v1/publish"
_BATCH: Final = "/v1/publish/batch"
_OPENAPI: Final = "/openapi.json"
_ADDRESSED: Final = re.compile(r"/v1/(clients|groups)/([^/]+)/messages")
_ANSWERS: Final = {
    Receipt.ACKNOWLEDGED: Response(b'{"status":"acknowledged"}'),
    Receipt.SENT: Response(b'{"status":"sent"}', 202),
    Receipt.STORED: Response(b'{"status":"stored"}', 202),
}
_KEY: Final = b"idempotency-key"

T = TypeVar("T")

_log = get_logger(__name__)


class Routes:
    """The gateway's HTTP handler."""

    def __init__(  # noqa: PLR0913 - one for each thing that is served
        self,
        callers: Callers,
        permissions: Permissions,
        reader: Reader,
        dispatch: Dispatch,
        presence: Presence,
        parked_messages: ParkedMessages,
        quotas: Quotas,
        peers: Peers,
        forwarder: Forwarder,
        operations: Operations,
    ) -> None:
        self._callers = callers
        self._permissions = permissions
        self._reader = reader
        self._dispatch = dispatch
        self._presence = presence
        self._parked = parked_messages
        self._quotas = quotas
        self._peers = peers
        self._forwarder = forwarder
        self._operations = operations
        self._description = Response(msgspec.json.encode(openapi.document()))

    def __call__(self, request: Request) -> Answer:
        """Answer a request."""
        if request.path == _PUBLISH:
            return self._posted(request, self._publish, None)
        if request.path == _BATCH:
            return self._posted(request, self._publish_batch, None)
        if request.path == parked.PATH or request.path.startswith(f"{parked.PATH}/"):
            return self._called(request, self._answer_parked, None)
        if request.path == _OPENAPI:
            require_get(request)
            return self._description
        address = _address(request.path)
        if address is not None:
            return self._posted(request, self._publish, address)
        return self._operations(request)

    def _posted(self, request: Request, serve: _Serve, address: Address | None) -> Answer:
        """Serve a caller's message, once it is known whose it is."""
        if request.method != "POST":
            raise Problem(405, "messages are posted", {"Allow": "POST"})
        return self._called(request, serve, address)

    def _called(self, request: Request, serve: _Serve, address: Address | None) -> Answer:
        authorization = request.headers.get(b"authorization")
        subject = _counted(self._callers.identify_now, authorization)
        if subject is None:
            return self._later(request, serve, address)
        return self._serve(subject, request, serve, address)

    def _serve(
        self, subject: str, request: Request, serve: _Serve, address: Address | None
    ) -> Answer:
        """Serve a request here, or where its key is known."""
        key = request.headers.get(_KEY)
        if key is not None and FORWARDED not in request.headers:
            ordinal = self._peers.elsewhere(subject, key)
            if ordinal is not None:
                return self._forwarder.forward(request, ordinal)
        return serve(subject, request, address)

    async def _later(
        self, request: Request, serve: _Serve, address: Address | None
    ) -> Response | Stream:
        """Serve a caller whose token names a key that has to be fetched."""
        try:
            subject = await self._callers.identify(request.headers.get(b"authorization"))
        except Problem as problem:
            metrics.refused(problem.status)
            raise
        answer = self._serve(subject, request, serve, address)
        if isinstance(answer, Response):
            return answer
        if not isinstance(answer, Pending):
            return await answer
        await asyncio.wait([answer.awaited])
        return answer.finish()

    # --- one message

    def _publish(self, subject: str, request: Request, address: Address | None) -> Answer:
        began = time.perf_counter()
        publication = _counted(self._reader.read, request, address)
        message = _counted(self._admit, subject, publication)
        claim = None
        self._take_quota(subject, 1)
        if _KEY in request.headers:
            claim = _counted(self._claim, subject, request, message)
        if publication.delivery is Delivery.ONLINE_ONLY:
            return self._publish_online_only(publication, subject, claim, began)
        return self._send(message, subject, claim, began)

    def _take_quota(self, subject: str, messages: int) -> None:
        wait = self._quotas.take(subject, messages, time.monotonic())
        if wait:
            metrics.refused(429)
            later = {"Retry-After": str(math.ceil(wait))}
            detail = "too many messages a second; see spec.gateway.callers[].messagesPerSecond"
            raise Problem(429, detail, later, {"sent": False})

    def _claim(self, subject: str, request: Request, message: Message) -> Claim:
        try:
            key = check_key(request.headers[_KEY], message.qos)
        except MessageError as error:
            raise answers.of_message_error(error) from None
        return Claim(subject, key, fingerprint(encode_message(message)))

    def _send(
        self, message: Message, subject: str, claim: Claim | None, began: float
    ) -> Response | Pending:
        try:
            done = self._dispatch.publish(message, subject, claim)
        except PublishError as error:
            raise _failed(message, error) from None
        if done.done():
            return _finish(message, began, done)
        return Pending(done, partial(_finish, message, began, done))

    async def _publish_online_only(
        self, publication: Publication, subject: str, claim: Claim | None, began: float
    ) -> Response:
        """Publish if the client is connected now; it may be gone when the message arrives."""
        message = publication.message
        try:
            # What was published before is not published again: presence has no say in it.
            if claim is None or self._dispatch.used(claim) is None:
                await self._require_online(publication.client_id)
        except Problem as problem:
            metrics.refused(problem.status)
            raise
        except PublishError as error:
            raise _failed(message, error) from None
        answer = self._send(message, subject, claim, began)
        if isinstance(answer, Response):
            return answer
        await asyncio.wait([answer.awaited])
        return answer.finish()

    async def _require_online(self, client_id: str | None) -> None:
        if client_id is None:
            detail = "delivery: online-only is for a client, not for a topic or group"
            raise Problem(422, detail, extra={"field": "delivery"})
        try:
            found = await self._presence.of(client_id)
        except PresenceUnavailableError as error:
            detail = f"whether the client is online cannot be said: {error}"
            raise Problem(503, detail, {"Retry-After": "2"}, {"sent": False}) from None
        if not found.online:
            detail = "the client is not online; nothing was published"
            extra = {"sent": False, "presence": msgspec.to_builtins(found)}
            raise Problem(409, detail, extra=extra)

    def _admit(self, subject: str, publication: Publication) -> Message:
        """Return the message, if its caller may publish it."""
        message = publication.message
        if not self._permissions.allows(subject, message.topic):
            _log.info("refused", reason="topic", subject=subject, topic=message.topic)
            detail = f"{subject} may not publish to this topic; see spec.gateway.callers"
            raise Problem(403, detail, extra={"field": "topic"})
        return message

    def _answer_parked(self, subject: str, request: Request, _address: Address | None) -> Answer:
        return self._parked.answer(subject, request)

    # --- many

    def _publish_batch(self, subject: str, request: Request, _address: Address | None) -> Answer:
        items = _counted(self._reader.read_batch, request)
        self._take_quota(subject, len(items))
        key = request.headers.get(_KEY)
        if key is not None:
            _counted(_checked_key, key)
        return Batch(self._dispatch, partial(self._admit, subject), subject, key).publish(items)


_Serve = Callable[[str, Request, Address | None], Answer]


def _address(path: str) -> Address | None:
    match = _ADDRESSED.fullmatch(path)
    if match is None:
        return None
    kind, encoded = match.groups()
    try:
        name = unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        raise Problem(400, "the path is not percent-encoded UTF-8") from None
    return Address(client_id=name) if kind == "clients" else Address(group=name)


def _counted(function: Callable[..., T], *arguments: Any) -> T:
    """Call, and count the refusal that it may be."""
    try:
        return function(*arguments)
    except Problem as problem:
        metrics.refused(problem.status)
        raise


def _checked_key(raw: bytes) -> str:
    try:
        return check_key(raw)
    except MessageError as error:
        raise answers.of_message_error(error) from None


def _finish(message: Message, began: float, done: asyncio.Future[Receipt]) -> Response:
    """Return the answer when there is a receipt, or can be none."""
    try:
        receipt = done.result()
    except PublishError as error:
        raise _failed(message, error) from None
    metrics.published(message.qos, receipt, time.perf_counter() - began)
    return _ANSWERS[receipt]


def _failed(message: Message, error: PublishError) -> Problem:
    metrics.not_published(message.qos, error)
    return answers.of_publish_error(error)
