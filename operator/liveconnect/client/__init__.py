"""Client of LiveConnect for backends: publish, ask devices, look up presence.

    from liveconnect.client import Client, Endpoints, Message

    with Client(Endpoints.of("quickstart", "default")) as liveconnect:
        liveconnect.publish(Message(topic="orders/42/7/status", payload={"status": "on its way"}))

`AsyncClient` has the same methods for asyncio. Both read the token of the pod's ServiceAccount from
its projected file for each call, give every message an `Idempotency-Key`, and repeat for some
seconds what failed for now and may be repeated.

Errors:

    LiveConnectError
    ├── TokenError              the token's file cannot be read
    ├── UnreachableError        no HTTP answer
    ├── UnreadableAnswerError   an answer that is none of LiveConnect's
    └── ProblemError            an answer that is an error (RFC 9457)
        ├── InvalidError        400, 413, 415, 422: the request is wrong; `field` says where
        ├── UnauthenticatedError  401
        ├── ForbiddenError      403
        ├── NotFoundError       404
        ├── ClientAwayError     409: online-only, and the client is not online
        ├── ThrottledError      429
        ├── RefusedError        502: the broker takes no such message
        ├── UnavailableError    503
        └── NoAnswerError       504: no answer of the device, or of the broker, in time
"""

from liveconnect.client.asynchronous import AsyncClient
from liveconnect.client.blocking import Client
from liveconnect.client.credentials import TOKEN_FILE, ProjectedToken
from liveconnect.client.errors import (
    ClientAwayError,
    ForbiddenError,
    InvalidError,
    LiveConnectError,
    NoAnswerError,
    NotFoundError,
    ProblemError,
    RefusedError,
    ThrottledError,
    TokenError,
    UnauthenticatedError,
    UnavailableError,
    UnreachableError,
    UnreadableAnswerError,
)
from liveconnect.client.exchange import Endpoints
from liveconnect.client.messages import (
    Answer,
    Content,
    Delivery,
    Members,
    Message,
    Presence,
    PresenceState,
    Receipt,
    Request,
    RequestState,
    RequestStatus,
)
from liveconnect.client.outcomes import FanOut, MemberOutcome, Outcome
from liveconnect.client.patience import Patience

__all__ = [
    "TOKEN_FILE",
    "Answer",
    "AsyncClient",
    "Client",
    "ClientAwayError",
    "Content",
    "Delivery",
    "Endpoints",
    "FanOut",
    "ForbiddenError",
    "InvalidError",
    "LiveConnectError",
    "MemberOutcome",
    "Members",
    "Message",
    "NoAnswerError",
    "NotFoundError",
    "Outcome",
    "Patience",
    "Presence",
    "PresenceState",
    "ProblemError",
    "ProjectedToken",
    "Receipt",
    "RefusedError",
    "Request",
    "RequestState",
    "RequestStatus",
    "ThrottledError",
    "TokenError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnreachableError",
    "UnreadableAnswerError",
]
