"""Which HTTP answer each way to fail has."""

from __future__ import annotations

from typing import Final

from liveconnect.common.problem import Problem
from liveconnect.gateway.messages import FaultKind, MessageError
from liveconnect.gateway.outbox import (
    KeyReusedError,
    OutboxFailedError,
    OutboxFullError,
)
from liveconnect.gateway.publishing import (
    AckTimeoutError,
    BusyError,
    LinkDownError,
    NotTakenError,
    PublishError,
    RefusedError,
    ShareError,
)

_STATUS_OF: Final = {FaultKind.SYNTAX: 400, FaultKind.VALUE: 422, FaultKind.SIZE: 413}
_SOON: Final = {"Retry-After": "1"}
_LATER: Final = {"Retry-After": "5"}
_QUOTA_EXCEEDED: Final = 0x97


def of_message_error(error: MessageError) -> Problem:
    """Return the answer to a request that is wrong; its member `field` names the field."""
    extra = {} if error.field is None else {"field": error.field}
    return Problem(_STATUS_OF[error.kind], str(error), extra=extra)


def of_publish_error(error: PublishError) -> Problem:  # noqa: PLR0911 - one for each case
    """Return the answer to a message that was not acknowledged.

    Its member `sent` says whether a broker may have taken the message nevertheless.
    """
    extra: dict[str, object] = {"sent": error.sent}
    match error:
        case LinkDownError() | BusyError() | OutboxFullError() | OutboxFailedError():
            return Problem(503, str(error), _SOON, extra)
        case ShareError():
            return Problem(429, str(error), _LATER, extra)
        case KeyReusedError():
            return Problem(422, str(error), extra={**extra, "field": "Idempotency-Key"})
        case AckTimeoutError():
            return Problem(504, str(error), _SOON, extra)
        case NotTakenError():
            return Problem(422, str(error), extra={**extra, "field": error.field})
        case RefusedError(code=code) if code == _QUOTA_EXCEEDED:
            return Problem(503, str(error), _SOON, extra)
        case _:
            return Problem(502, str(error), extra=extra)
