"""What goes wrong, as types; the tree is drawn in the package's docstring."""

from __future__ import annotations

from typing import Final

import msgspec

from liveconnect.client.messages import Presence

_TEMPORARY: Final = frozenset({429, 503})


class LiveConnectError(Exception):
    """Base of all errors of this client."""

    sent: bool | None = None
    """Whether a broker may have the message: False is a promise, None is not known."""
    retry_after: float | None = None
    """Seconds after which it may be tried again; None if nobody said."""

    @property
    def temporary(self) -> bool:
        """Whether the same call may succeed a little later."""
        return False


class TokenError(LiveConnectError):
    """The ServiceAccount's token cannot be read; the text says from where and what to do."""

    sent = False


class UnreachableError(LiveConnectError):
    """There was no HTTP answer: no connection, or it broke, or it took too long."""

    def __init__(self, text: str, *, sent: bool | None = None) -> None:
        """Say what failed, and whether the request may have arrived."""
        super().__init__(text)
        self.sent = sent

    @property
    def temporary(self) -> bool:
        """It may come back."""
        return True


class UnreadableAnswerError(LiveConnectError):
    """There was an answer that is none of LiveConnect's; is the URL right?"""


class Problem(msgspec.Struct, frozen=True, rename="camel"):
    """A problem document (RFC 9457) with the members that LiveConnect adds."""

    status: int = 0
    title: str = ""
    detail: str = ""
    field: str | None = None
    """The field of the request that is wrong."""
    reason: str | None = None
    """Why a token was refused, as a word."""
    sent: bool | None = None
    """Whether a broker may have the message."""
    id: str | None = None
    """Of the request that was not answered."""
    acknowledged: bool | None = None
    """Whether a broker said that it has the request."""
    presence: Presence | None = None
    """What is known of the client that did not answer, or is away."""


class ProblemError(LiveConnectError):
    """An HTTP answer that is an error."""

    def __init__(self, status: int, problem: Problem, retry_after: float | None = None) -> None:
        """Take what the answer says.

        Args:
            status: of HTTP.
            problem: its body.
            retry_after: its `Retry-After` (seconds).
        """
        place = f" ({problem.field})" if problem.field else ""
        super().__init__(f"{status} {problem.title}{place}: {problem.detail}".rstrip(": "))
        self.status = status
        self.problem = problem
        self.retry_after = retry_after
        self.sent = False if status == 429 else problem.sent

    @property
    def field(self) -> str | None:
        """The field of the request that is wrong."""
        return self.problem.field

    @property
    def presence(self) -> Presence | None:
        """What is known of the client, if the answer says so."""
        return self.problem.presence

    @property
    def temporary(self) -> bool:
        """Whether it says to come again."""
        return self.status in _TEMPORARY or (self.status == 504 and self.retry_after is not None)


class InvalidError(ProblemError):
    """The request is wrong, and nothing was published."""


class UnauthenticatedError(ProblemError):
    """The token proves nothing: is its audience `liveconnect`?"""


class ForbiddenError(ProblemError):
    """The caller may not do this; see `spec.gateway.callers`, `spec.presence.readers`."""


class NotFoundError(ProblemError):
    """No such client or request, or the feature is off."""


class ClientAwayError(ProblemError):
    """`online-only`, and the client is not online; nothing was published."""


class ThrottledError(ProblemError):
    """More than the caller's quota or share."""


class RefusedError(ProblemError):
    """The broker refused the message."""


class UnavailableError(ProblemError):
    """Not possible now."""


class NoAnswerError(ProblemError):
    """No answer in time: of a device, or (no `id`) of a broker for QoS 2."""

    @property
    def id(self) -> str | None:
        """The request that nobody answered in time."""
        return self.problem.id

    @property
    def acknowledged(self) -> bool:
        """Whether a broker said that it has the request."""
        return bool(self.problem.acknowledged)


_KINDS: Final[dict[int, type[ProblemError]]] = {
    400: InvalidError,
    401: UnauthenticatedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ClientAwayError,
    413: InvalidError,
    415: InvalidError,
    422: InvalidError,
    429: ThrottledError,
    502: RefusedError,
    503: UnavailableError,
    504: NoAnswerError,
}


def problem_error(status: int, body: bytes, retry_after: str | None = None) -> ProblemError:
    """Return the error that an HTTP answer is; proxies' answers, which say nothing, included."""
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = Problem(status, "no problem document; was it a proxy that answered?")
    return _KINDS.get(status, ProblemError)(status, problem, _seconds(retry_after))


def _seconds(retry_after: str | None) -> float | None:
    """Read `Retry-After`; LiveConnect gives seconds, and a proxy's date is not worth a clock."""
    if retry_after is None or not (retry_after.isascii() and retry_after.isdigit()):
        return None
    return float(retry_after)
