"""The client for programs that block."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TypeVar

import httpx
import tenacity

from liveconnect.client import calls, exchange
from liveconnect.client.calls import Call
from liveconnect.client.credentials import ProjectedToken
from liveconnect.client.exchange import Endpoints
from liveconnect.client.messages import (
    Content,
    Members,
    Message,
    Presence,
    Receipt,
    Request,
    RequestStatus,
)
from liveconnect.client.outcomes import FanOut, Outcome
from liveconnect.client.patience import Patience, until

T = TypeVar("T")

_POLL_SECONDS = 1.0


class Client:
    """One LiveConnectCluster, for a backend. May be used by several threads."""

    def __init__(
        self,
        endpoints: Endpoints,
        *,
        token: ProjectedToken | None = None,
        patience: Patience | None = None,
        tls: ssl.SSLContext | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            endpoints: where the cluster is asked.
            token: whose token is sent; by default the pod's, at `TOKEN_FILE`.
            patience: how failures that pass are repeated.
            tls: for `https` endpoints: whom it trusts, and its certificate if the gateway wants
                one; by default public authorities are trusted.
            transport: how HTTP is spoken, for who wants to see or change that.
        """
        self._endpoints = endpoints
        self._patience = patience or Patience()
        self._http = httpx.Client(
            auth=token or ProjectedToken(),
            verify=True if tls is None else tls,
            transport=transport,
            # No proxy of the environment: it would see tokens for services of this cluster.
            trust_env=False,
        )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close its connections."""
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def publish(self, message: Message, *, key: str | None = None) -> Receipt:
        """Publish a message.

        Args:
            message: what, and to whom.
            key: its `Idempotency-Key`, for who repeats across restarts; made for each call else.

        Raises:
            LiveConnectError: it was not published; `sent` says whether that is certain.
        """
        return self._do(calls.publish(message, key or _new_key()))

    def publish_all(
        self, messages: Sequence[Message], *, key: str | None = None
    ) -> tuple[Outcome, ...]:
        """Publish many messages, and return what became of each, in their order.

        A message that fails keeps no other from being published.

        Raises:
            LiveConnectError: nothing is known of any of them.
        """
        return self._do(calls.publish_all(messages, key or _new_key()))

    def fan_out(
        self,
        members: Members,
        content: Content,
        *,
        limit: int = 1000,
        after: str | None = None,
        key: str | None = None,
    ) -> FanOut:
        """Publish one message to each of many clients, each on its own topic.

        Args:
            members: which clients.
            content: what they get.
            limit: how many of them at most with this call, 1 to 10,000.
            after: the `next` of the call before, to go on.
            key: as for `publish`; the same for a repeated call, another for the next one.
        """
        return self._do(calls.fan_out(members, content, key or _new_key(), limit, after))

    def request(self, client_id: str, asked: Request, *, key: str | None = None) -> RequestStatus:
        """Ask a device, and return what it answered.

        Raises:
            NoAnswerError: it did not answer in time; has what is known of it.
            ClientAwayError: it was to be online, and is not.
            LiveConnectError: it was not asked.
        """
        return self._do(calls.request(client_id, asked, key or _new_key()))

    def begin_request(
        self, client_id: str, asked: Request, *, wait: int = 0, key: str | None = None
    ) -> RequestStatus:
        """Ask a device that takes its time; return the answer, or what to look up later.

        Args:
            client_id: the device's.
            asked: what, and for how long an answer counts: up to an hour.
            wait: how long to wait for the answer now, 0 to 60 (seconds).
            key: as for `publish`.
        """
        return self._do(calls.begin_request(client_id, asked, key or _new_key(), wait))

    def request_status(self, identity: str) -> RequestStatus:
        """Look up a request by its id.

        Raises:
            NotFoundError: it is not known, or not any more.
        """
        return self._do(calls.request_status(identity))

    def settle(self, identity: str, *, within: float) -> RequestStatus:
        """Look a request up until it is answered or expired, or `within` seconds are over."""
        looking = tenacity.Retrying(**until(exchange.settled, within, _POLL_SECONDS))
        return looking(self.request_status, identity)

    def forget_request(self, identity: str) -> None:
        """Let the gateway forget a request; an answer that comes later is dropped."""
        self._do(calls.forget_request(identity))

    def presence(self, client_id: str) -> Presence:
        """Look up whether a client is online.

        Raises:
            NotFoundError: it was never seen.
        """
        return self._do(calls.presence(client_id))

    def presences(self, client_ids: Sequence[str]) -> dict[str, Presence]:
        """Look up at most 1,000 clients; those that were never seen are not in the result."""
        return self._do(calls.presences(client_ids))

    def _do(self, call: Call[T]) -> T:
        done: T = tenacity.Retrying(**self._patience.rules(call))(self._try, call)
        return done

    def _try(self, call: Call[T]) -> T:
        try:
            response = self._http.send(exchange.to_request(self._endpoints, call))
        except httpx.TransportError as error:
            raise exchange.unreachable(call, error) from error
        return exchange.to_value(call, response)


def _new_key() -> str:
    return uuid.uuid4().hex
