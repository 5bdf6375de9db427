"""Opaque tokens: what an authorization server said of them, and for how long that holds."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from liveconnect.api.operands import IntrospectionProvider
from liveconnect.common.breaker import Breaker
from liveconnect.common.claims import (
    Claims,
    TokenFault,
    check_times,
    groups_of,
    is_for,
    issued_at,
    subject_of,
    token_id_of,
)
from liveconnect.common.logs import get_logger
from liveconnect.common.tokens import TokenKind, Verified
from liveconnect.webhook.adapters.introspection_endpoint import IntrospectionError

REFUSED_SECONDS: Final = 5.0
"""How long a refusal is remembered: short, for a token may be asked about before it is known."""
MAX_GOOD: Final = 100_000
MAX_REFUSED: Final = 20_000

_log = get_logger(__name__)


class Endpoint(Protocol):
    """Asks the server."""

    async def ask(self, token: str) -> dict[str, Any]:
        """Return its answer; raise `IntrospectionError` if there is none."""


class _Known(msgspec.Struct, frozen=True, eq=False, gc=False):
    result: Verified | TokenFault
    until: float


def judge(provider: IntrospectionProvider, answer: Claims, now: float) -> Verified | TokenFault:
    """Return what an answer proves. Pure.

    Args:
        provider: whose answer it is.
        answer: the members of the response (RFC 7662, section 2.2).
        now: seconds since the epoch.
    """
    if answer.get("active") is not True:
        return TokenFault.INACTIVE
    if provider.issuer is not None and answer.get("iss", provider.issuer) != provider.issuer:
        return TokenFault.ISSUER
    fault = check_times(answer, provider.leeway_seconds, now)
    if fault is not None:
        return fault
    if provider.audiences and not is_for(answer, frozenset(provider.audiences)):
        return TokenFault.AUDIENCE
    subject = subject_of(answer, provider.subject_claim)
    if subject is None:
        return TokenFault.CLAIMS
    return Verified(
        kind=TokenKind.DEVICE,
        issuer=provider.issuer or provider.url,
        subject=subject,
        claims=dict(answer),
        expires_at=float(answer["exp"]),
        client_id_claim=provider.client_id_claim,
        groups=groups_of(answer, provider.groups_claim),
        token_id=token_id_of(answer),
        issued_at=issued_at(answer),
    )


class Introspection:
    """One authorization server's answers.

    A good one is used until the token's `exp`, but not longer than the provider's bound; a refusal
    for some seconds. All who ask about one token share one request. When the server fails again
    and again it is left alone for a while, and its tokens are refused meanwhile.
    """

    def __init__(
        self,
        provider: IntrospectionProvider,
        endpoint: Endpoint,
        *,
        breaker: Breaker | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider = provider
        self._endpoint = endpoint
        self._breaker = breaker or Breaker()
        self._clock = clock
        self._good: OrderedDict[bytes, _Known] = OrderedDict()
        self._refused: OrderedDict[bytes, _Known] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Task[Verified | TokenFault]] = {}
        self.name = provider.url
        self.issuer = provider.issuer
        self.known_as = provider.issuer or provider.url
        """What its tokens have as their issuer."""
        self.fault: str | None = "not asked yet"
        """Why the last question got no answer; None if it did."""
        self.hits = 0
        """Checks that were answered from memory."""
        self.misses = 0
        """Questions to the server."""
        self.failures = 0
        """Questions that got no answer."""

    @property
    def available(self) -> bool:
        """Whether the server answers, as far as is known."""
        return not self._breaker.open

    def check(self, digest: bytes, now: float) -> Verified | TokenFault:
        """Return what is remembered of a token.

        Args:
            digest: the token's hash.
            now: seconds since the epoch.
        """
        known = self._good.get(digest) or self._refused.get(digest)
        if known is None or now >= known.until:
            return TokenFault.NOT_ASKED_YET
        self.hits += 1
        if isinstance(known.result, Verified):
            self._good.move_to_end(digest)
        return known.result

    async def ask(self, token: str, digest: bytes, now: float) -> Verified | TokenFault:
        """Return what the server says of a token, or what it said a moment ago."""
        remembered = self.check(digest, now)
        if remembered is not TokenFault.NOT_ASKED_YET:
            return remembered
        task = self._under_way.get(digest)
        if task is None:
            if not self._breaker.allows(self._clock()):
                return TokenFault.PROVIDER_UNAVAILABLE
            task = asyncio.create_task(self._ask(token, digest, now))
            self._under_way[digest] = task
            task.add_done_callback(lambda _: self._under_way.pop(digest, None))
        return await asyncio.shield(task)

    async def _ask(self, token: str, digest: bytes, now: float) -> Verified | TokenFault:
        self.misses += 1
        try:
            answer = await self._endpoint.ask(token)
        except IntrospectionError as error:
            self._failed(str(error))
            return TokenFault.PROVIDER_UNAVAILABLE
        self._answered()
        result = judge(self._provider, answer, now)
        if isinstance(result, Verified):
            ends = result.expires_at + self._provider.leeway_seconds
            until = min(ends, now + self._provider.cache_seconds)
            self._refused.pop(digest, None)
            _keep(self._good, digest, _Known(result, until), MAX_GOOD)
        else:
            self._good.pop(digest, None)
            _keep(self._refused, digest, _Known(result, now + REFUSED_SECONDS), MAX_REFUSED)
        return result

    def _failed(self, reason: str) -> None:
        self._breaker.failed(self._clock())
        self.failures += 1
        if reason != self.fault:
            _log.warning("tokens cannot be introspected", provider=self.name, reason=reason)
        self.fault = reason

    def _answered(self) -> None:
        self._breaker.succeeded()
        if self.fault is not None:
            _log.info("tokens are introspected", provider=self.name)
        self.fault = None


def _keep(known: OrderedDict[bytes, _Known], digest: bytes, entry: _Known, most: int) -> None:
    known[digest] = entry
    known.move_to_end(digest)
    if len(known) > most:
        known.popitem(last=False)
