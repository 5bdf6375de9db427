"""Who a user name stands for: a JWT tells by itself, of anything else its provider is asked."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Final

from liveconnect.common.jose import MAX_TOKEN_BYTES, MalformedTokenError, parse_compact
from liveconnect.common.tokens import TokenFault, TokenVerifier, Verified
from liveconnect.webhook.introspection import Introspection

_ANSWER_SECONDS: Final = 4.0
"""For all questions together: a hook that waits must answer within VerneMQ's 5 s."""
_OPAQUE: Final = re.compile(r"[\x21-\x7e]+")
"""What an access token is made of (RFC 6749, appendix A.12)."""


class Identities:
    """All providers of one cluster, side by side.

    JWTs belong to the provider of their issuer. What is no JWT, and JWTs of an issuer that is
    introspected, belong to the authorization servers that can be asked, in their order.
    """

    def __init__(self, verifier: TokenVerifier, servers: Sequence[Introspection] = ()) -> None:
        self._verifier = verifier
        self._servers = tuple(servers)

    def check(self, token: str | None, now: float) -> Verified | TokenFault:
        """Return what is known without asking anybody.

        Args:
            token: the user name.
            now: seconds since the epoch.
        """
        result = self._verifier.check(token, now)
        if isinstance(result, Verified) or not self._servers or not token:
            return result
        servers = tuple(self._responsible(token, result))
        if not servers:
            return result
        digest = _digest(token)
        return _best(server.check(digest, now) for server in servers)

    async def check_with_news(self, token: str | None, now: float) -> Verified | TokenFault:
        """Return what is known after asking whoever may know more; never raises."""
        result = await self._verifier.check_with_news(token, now)
        if isinstance(result, Verified) or not self._servers or not token:
            return result
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await self._ask(token, result, now)
        except TimeoutError:
            return TokenFault.PROVIDER_UNAVAILABLE

    async def _ask(self, token: str, result: TokenFault, now: float) -> Verified | TokenFault:
        digest = _digest(token)
        answers = []
        for server in self._responsible(token, result):
            answer = await server.ask(token, digest, now)
            if isinstance(answer, Verified):
                return answer
            answers.append(answer)
        return _best(answers) if answers else result

    def _responsible(self, token: str, result: TokenFault) -> Iterable[Introspection]:
        """Who can be asked about a token of which the verifier said `result`."""
        if result is TokenFault.MALFORMED:
            opaque = len(token) <= MAX_TOKEN_BYTES and _OPAQUE.fullmatch(token) is not None
            return self._servers if opaque else ()
        if result is not TokenFault.ISSUER:
            return ()
        try:
            issuer = parse_compact(token).claims.get("iss")
        except MalformedTokenError:
            return ()
        return [s for s in self._servers if s.issuer is not None and s.issuer == issuer]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _best(results: Iterable[Verified | TokenFault]) -> Verified | TokenFault:
    """Return the yes, if there is one; otherwise what leaves most hope."""
    found = list(results)
    for result in found:
        if isinstance(result, Verified):
            return result
    for hope in (TokenFault.NOT_ASKED_YET, TokenFault.PROVIDER_UNAVAILABLE):
        if hope in found:
            return hope
    return found[-1]
