"""What both clients share: from a call to HTTP's request, and from HTTP's answer to a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx
import msgspec

from liveconnect.client.calls import Call, Service
from liveconnect.client.errors import (
    UnreachableError,
    UnreadableAnswerError,
    problem_error,
)
from liveconnect.client.messages import RequestState, RequestStatus

T = TypeVar("T")

_PORT: Final = 8080
_TLS_PORT: Final = 8443
_CONNECT_SECONDS: Final = 5.0
_READ_SECONDS: Final = 15.0
"""The gateway itself waits up to 10 s for a broker."""
_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True)
class Endpoints:
    """Where a LiveConnectCluster is asked."""

    gateway: str
    """URL of the publisher gateway."""
    presence: str | None = None
    """URL of the auth service; None if presence is not asked for."""

    @classmethod
    def of(
        cls, name: str, namespace: str, *, tls: bool = False, auth_tls: bool = False
    ) -> Endpoints:
        """Return the Services of a LiveConnectCluster, as pods reach them.

        Args:
            name: of the object.
            namespace: of the object.
            tls: whether the object has `spec.gateway.tls`.
            auth_tls: whether it has `spec.auth.tls`.
        """
        return cls(
            _url(f"{name}-gateway.{namespace}.svc", tls=tls),
            _url(f"{name}-auth.{namespace}.svc", tls=auth_tls),
        )

    def of_service(self, service: Service) -> str:
        """Return a service's URL.

        Raises:
            ValueError: presence is asked for, and nobody said where.
        """
        url = self.gateway if service is Service.GATEWAY else self.presence
        if url is None:
            raise ValueError("endpoints.presence: give the auth service's URL to look up presence")
        return url.rstrip("/")


def _url(host: str, *, tls: bool) -> str:
    return f"https://{host}:{_TLS_PORT}" if tls else f"http://{host}:{_PORT}"


def to_request(endpoints: Endpoints, call: Call[Any]) -> httpx.Request:
    """Return what HTTP sends for a call; the token comes with the sending."""
    timeout = httpx.Timeout(
        _READ_SECONDS, connect=_CONNECT_SECONDS, read=_READ_SECONDS + call.waits_seconds
    )
    return httpx.Request(
        call.method,
        endpoints.of_service(call.service) + call.path,
        headers=dict(call.headers),
        content=call.content,
        extensions={"timeout": timeout.as_dict()},
    )


def to_value(call: Call[T], response: httpx.Response) -> T:
    """Return what an answer says.

    Raises:
        ProblemError: it is an error.
        UnreadableAnswerError: it is none of LiveConnect's.
    """
    if not response.is_success:
        retry_after = response.headers.get("Retry-After")
        raise problem_error(response.status_code, response.content, retry_after)
    try:
        return call.read(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        where = f"{call.method} {call.path}"
        raise UnreadableAnswerError(f"{where}: {error}; is the URL LiveConnect's?") from None


def unreachable(call: Call[Any], error: httpx.TransportError) -> UnreachableError:
    """Return the error that a broken connection is."""
    sent = False if isinstance(error, _NEVER_SENT) else None
    reason = str(error) or type(error).__name__
    return UnreachableError(f"{call.method} {call.path}: no answer: {reason}", sent=sent)


def settled(status: RequestStatus) -> bool:
    """Return whether a request has its answer, or will never have one."""
    return status.status is not RequestState.PENDING
