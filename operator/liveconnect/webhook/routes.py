"""Which path does what. Nothing is decided here."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final, cast

from liveconnect.common.policy import Pool
from liveconnect.common.problem import Problem
from liveconnect.common.server import Answer, Handler, Operations, Pending, Request, Response
from liveconnect.webhook import audit, revocation_api
from liveconnect.webhook.clientroutes import ClientRoutes
from liveconnect.webhook.contract import (
    AUTH_HOOKS,
    CONNECT_HOOKS,
    PRESENCE_HOOKS,
    Hook,
    HookBodyError,
    parse_body,
)
from liveconnect.webhook.gate import Held
from liveconnect.webhook.hooks import AuthBody, AuthHooks, Call, PresenceBody, PresenceHooks
from liveconnect.webhook.revocation_api import RevocationApi

_HOOK_PATH: Final = re.compile(
    r"/hooks/(connect|auth|presence)/(publisher|subscriber)/([a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?)"
)
_HOOKS: Final = "/hooks/"
_HOOKS_OF: Final = {
    "connect": CONNECT_HOOKS,
    "auth": AUTH_HOOKS,  # those of `connect` too, for brokers with an older configuration
    "presence": PRESENCE_HOOKS,
}


@lru_cache(maxsize=4096)
def _parse_call(path: str, hook_name: bytes) -> tuple[str, Call]:
    match = _HOOK_PATH.fullmatch(path)
    if match is None:
        raise Problem(404, "no such endpoint: /hooks/{connect|auth|presence}/{pool}/{node}")
    purpose, pool, node = match.groups()
    try:
        hook = Hook(hook_name.decode("ascii", "replace"))
    except ValueError:
        raise Problem(404, "no such hook: see the header vernemq-hook") from None
    if hook not in _HOOKS_OF[purpose]:
        raise Problem(404, f"{hook.value} is not served at /hooks/{purpose}/")
    return purpose, Call(hook, Pool(pool), node)


class Routes:
    """The auth service's HTTP handler."""

    def __init__(
        self,
        auth: AuthHooks,
        presence: PresenceHooks,
        clients: ClientRoutes,
        revocations: RevocationApi,
        operations: Operations,
    ) -> None:
        self._auth = auth
        self._presence = presence
        self._clients = clients
        self._revocations = revocations
        self.operations = operations

    def __call__(self, request: Request) -> Answer:
        """Answer a request."""
        if request.path.startswith(_HOOKS):
            return self._hook(request)
        if request.path.startswith(revocation_api.PATH):
            return self._revocations.answer(request)
        if self._clients.serves(request.path):
            return self._clients(request)
        return self.operations(request)

    def _hook(self, request: Request) -> Answer:
        began = time.perf_counter()
        try:
            return self._call(request, began)
        except Problem as problem:
            audit.invalid(problem.status)
            raise

    def _call(self, request: Request, began: float) -> Answer:
        if request.method != "POST":
            raise Problem(405, "hooks are posted", {"Allow": "POST"})
        purpose, call = _parse_call(request.path, request.headers.get(b"vernemq-hook", b""))
        try:
            body = parse_body(call.hook, request.body)
        except HookBodyError as error:
            raise Problem(400, f"not a body of {call.hook.value}: {error}") from None
        if purpose == "presence":
            answer: bytes | Held | None = self._presence.take(call, cast("PresenceBody", body))
        else:
            answer = self._auth.answer_now(call, cast("AuthBody", body))
        if answer is None:
            return self._call_later(call, cast("AuthBody", body), began)
        if isinstance(answer, Held):
            return Pending(answer.future, partial(_respond, call, began, answer.content))
        return _respond(call, began, answer)

    async def _call_later(self, call: Call, body: AuthBody, began: float) -> Response:
        answer = await self._auth.answer(call, body)
        if isinstance(answer, Held):
            await answer.future
            answer = answer.content
        return _respond(call, began, answer)


def _respond(call: Call, began: float, content: bytes) -> Response:
    audit.answered(call.hook, time.perf_counter() - began)
    return Response(content)


def hooks_only(routes: Routes) -> Handler:
    """The handler of a port that only brokers reach: hooks, nothing else."""

    def answer(request: Request) -> Answer:
        if not request.path.startswith(_HOOKS):
            raise Problem(404, "only hooks are served on this port")
        return routes(request)

    return answer


def operations_only(routes: Routes, plain_api: Callable[[], bool]) -> Handler:
    """The handler of the plain port beside those with TLS: what kubelet, monitors and operator ask.

    Args:
        routes: answers.
        plain_api: whether it is everything but hooks still, for a gateway that knows no other way.
    """
    api = clients_only(routes)

    def answer(request: Request) -> Answer:
        return api(request) if plain_api() else routes.operations(request)

    return answer


def clients_only(routes: Routes) -> Handler:
    """The handler of the API's port: everything but hooks."""

    def answer(request: Request) -> Answer:
        if request.path.startswith(_HOOKS):
            raise Problem(404, "hooks are served on a port of their own")
        return routes(request)

    return answer
