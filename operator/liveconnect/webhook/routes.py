"""HTTP: the hooks of VerneMQ and the presence API. No authorisation is decided here."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from aiohttp import web
from prometheus_client import Histogram
from redis.exceptions import RedisError

from liveconnect.common.bearer import bearer
from liveconnect.common.problem import ProblemError
from liveconnect.common.tokens import Verifier
from liveconnect.webhook import contract
from liveconnect.webhook.adapters.presence_store import PresenceStore
from liveconnect.webhook.policy import Pool
from liveconnect.webhook.service import Authorizer, Source

_SECONDS = Histogram(
    "liveconnect_webhook_hook_seconds",
    "Time to answer a hook.",
    ("kind",),
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5),
)
_JSON = "application/json"


class Routes:
    """The handlers."""

    def __init__(
        self,
        authorizer: Authorizer,
        presence: PresenceStore,
        backends: Verifier,
        readers: frozenset[str],
    ) -> None:
        self._authorizer = authorizer
        self._presence = presence
        self._backends = backends
        self._readers = readers
        self._auth_seconds = _SECONDS.labels("auth")

    def register(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_post("/hooks/auth/{pool}/{node}", self.auth)
        app.router.add_post("/hooks/presence/{pool}/{node}", self.presence_event)
        app.router.add_get("/v1/clients/{id}", self.client)

    async def auth(self, request: web.Request) -> web.Response:
        """An authentication hook."""
        begun = time.perf_counter()
        hook, body, source = await _hook(request, contract.AUTH_HOOKS)
        answer = await self._authorizer.answer(hook, body, source)
        self._auth_seconds.observe(time.perf_counter() - begun)
        return web.Response(body=answer, content_type=_JSON)

    async def presence_event(self, request: web.Request) -> web.Response:
        """A presence hook: answered at once, it holds the client's CONNACK."""
        hook, body, source = await _hook(request, contract.PRESENCE_HOOKS)
        if hook != "on_client_wakeup":
            self._presence.note(hook, body.client_id, source.node, int(time.time() * 1000))
        return web.Response(body=contract.OK, content_type=_JSON)

    async def client(self, request: web.Request) -> web.Response:
        """One client's presence."""
        await self._authenticate(request)
        client_id = request.match_info["id"]
        try:
            record = await self._presence.get(client_id)
        except (RedisError, OSError) as error:
            headers = {"Retry-After": "1"}
            raise ProblemError(503, "Unavailable", "the store does not answer", headers) from error
        if record is None:
            raise ProblemError(404, "Unknown client", "this client id was never seen")
        return web.json_response(
            {
                "clientId": record.client_id,
                "state": record.state.value,
                "node": record.node,
                "since": _time(record.since),
                "lastSeen": _time(record.seen),
            }
        )

    async def _authenticate(self, request: web.Request) -> None:
        subject = await bearer(request, self._backends)
        if subject not in self._readers:
            raise ProblemError(
                403, "Forbidden", f"{subject} is not among spec.presence.readers of this cluster"
            )


async def _hook(request: web.Request, known: frozenset[str]) -> tuple[str, contract.Body, Source]:
    hook = request.headers.get("vernemq-hook", "")
    if hook not in known:
        raise ProblemError(404, "Unknown hook", "the header vernemq-hook names no hook of this URL")
    try:
        source = Source(Pool(request.match_info["pool"]), request.match_info["node"])
        return hook, contract.parse(hook, await request.read()), source
    except contract.ContractError as error:
        raise ProblemError(400, "Bad hook body", str(error)) from error
    except ValueError as error:
        raise ProblemError(404, "Unknown pool", "the URL names no pool") from error


def _time(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
