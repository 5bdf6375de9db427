"""HTTP: which path does what. 2xx only after what the QoS promises."""

from __future__ import annotations

import asyncio
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
from liveconnect.gateway.admission import KEY, Admission, checked_key, claim_of
from liveconnect.gateway.asking import REQUESTS, REQUESTS_OFF, Asking
from liveconnect.gateway.batches import Batch
from liveconnect.gateway.callers import Callers
from liveconnect.gateway.dispatch import Dispatch
from liveconnect.gateway.fanout import PATH as FANOUT
from liveconnect.gateway.fanout import Fanout
from liveconnect.gateway.messages import (
    Address,
    Delivery,
    Message,
    Publication,
)
from liveconnect.gateway.outbox import Claim
from liveconnect.gateway.parked import ParkedMessages
from liveconnect.gateway.peers import Peers
from liveconnect.gateway.publishing import PublishError, Receipt
from liveconnect.gateway.reading import Reader

_PUBLISH: Final = "/v1/publish"
_BATCH: Final = "/v1/publish/batch"
_OPENAPI: Final = "/openapi.json"
_ADDRESSED: Final = re.compile(r"/v1/(clients|groups)/([^/]+)/(messages|requests)")
_ANSWERS: Final = {
    Receipt.ACKNOWLEDGED: Response(b'{"status":"acknowledged"}'),
    Receipt.SENT: Response(b'{"status":"sent"}', 202),
    Receipt.STORED: Response(b'{"status":"stored"}', 202),
}

T = TypeVar("T")

_log = get_logger(__name__)


class Routes:
    """The gateway's HTTP handler."""

    def __init__(  # noqa: PLR0913 - one for each thing that is served
        self,
        callers: Callers,
        admission: Admission,
        reader: Reader,
        dispatch: Dispatch,
        parked_messages: ParkedMessages,
        asking: Asking | None,
        fanout: Fanout,
        peers: Peers,
        forwarder: Forwarder,
        operations: Operations,
    ) -> None:
        self._callers = callers
        self._admission = admission
        self._reader = reader
        self._dispatch = dispatch
        self._parked = parked_messages
        self._asking = asking
        self._fanout = fanout
        self._peers = peers
        self._forwarder = forwarder
        self._operations = operations
        self._posts: dict[str, _Serve] = {
            _PUBLISH: self._publish,
            _BATCH: self._publish_batch,
            FANOUT: self._publish_fanout,
        }
        self._below: dict[str, _Serve] = {
            parked.PATH: self._answer_parked,
            REQUESTS: self._answer_request,
        }
        self._description = Response(msgspec.json.encode(openapi.document()))

    def __call__(self, request: Request) -> Answer:
        """Answer a request."""
        serve = self._posts.get(request.path)
        if serve is not None:
            return self._posted(request, serve, None)
        if request.path == _OPENAPI:
            require_get(request)
            return self._description
        for below, answer in self._below.items():
            if request.path == below or request.path.startswith(f"{below}/"):
                return self._called(request, answer, None)
        addressed = _addressed(request.path)
        if addressed is not None:
            address, is_question = addressed
            return self._posted(request, self._ask if is_question else self._publish, address)
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
        key = request.headers.get(KEY)
        if key is not None and request.method == "POST" and FORWARDED not in request.headers:
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
        try:
            publication = self._reader.read(request, address)
            message = self._admission.admit(subject, publication)
            self._admission.take_quota(subject, 1)
            claim = claim_of(subject, request.headers, message)
        except Problem as problem:
            metrics.refused(problem.status)
            raise
        if publication.delivery is Delivery.ONLINE_ONLY:
            return self._publish_online_only(publication, subject, claim, began)
        return self._send(message, subject, claim, began)

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
                await self._admission.require_online(publication.client_id)
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

    def _answer_parked(self, subject: str, request: Request, _address: Address | None) -> Answer:
        return self._parked.answer(subject, request)

    # --- requests to devices

    async def _ask(self, subject: str, request: Request, address: Address | None) -> Response:
        if self._asking is None:
            raise Problem(404, REQUESTS_OFF)
        assert address is not None  # noqa: S101 - the path has it
        try:
            return await self._asking.ask(subject, request, address)
        except Problem as problem:
            metrics.refused(problem.status)
            raise

    def _answer_request(self, subject: str, request: Request, _address: Address | None) -> Answer:
        if self._asking is None:
            raise Problem(404, REQUESTS_OFF)
        pod = self._asking.elsewhere(request.path)
        if pod is not None and FORWARDED not in request.headers:
            return self._forwarder.forward(request, pod)
        return self._asking.answer(subject, request)

    # --- many

    def _publish_batch(self, subject: str, request: Request, _address: Address | None) -> Answer:
        items = _counted(self._reader.read_batch, request)
        _counted(self._admission.take_quota, subject, len(items))
        key = request.headers.get(KEY)
        if key is not None:
            _counted(checked_key, key)
        admit = partial(self._admission.admit, subject)
        return Batch(self._dispatch, admit, subject, key).publish(items)

    async def _publish_fanout(
        self, subject: str, request: Request, _address: Address | None
    ) -> Stream:
        try:
            return await self._fanout.begin(subject, request)
        except Problem as problem:
            metrics.refused(problem.status)
            raise


_Serve = Callable[[str, Request, Address | None], Answer]


def _addressed(path: str) -> tuple[Address, bool] | None:
    """Return whom a path is for, and whether it asks for an answer."""
    match = _ADDRESSED.fullmatch(path)
    if match is None:
        return None
    whom, encoded, what = match.groups()
    try:
        name = unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        raise Problem(400, "the path is not percent-encoded UTF-8") from None
    if whom == "clients":
        return Address(client_id=name), what == "requests"
    return None if what == "requests" else (Address(group=name), False)


def _counted(function: Callable[..., T], *arguments: Any) -> T:
    """Call, and count the refusal that it may be."""
    try:
        return function(*arguments)
    except Problem as problem:
        metrics.refused(problem.status)
        raise


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
