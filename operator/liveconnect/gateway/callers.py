"""Who calls: ServiceAccounts, proven by their bearer tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from liveconnect.common.logs import get_logger
from liveconnect.common.problem import Problem
from liveconnect.common.tokens import TokenFault, TokenVerifier, Verified

_SCHEME: Final = "bearer"
_REALM: Final = 'Bearer realm="liveconnect"'
_CHALLENGE: Final = {"WWW-Authenticate": _REALM}
_BAD_TOKEN: Final = {"WWW-Authenticate": f'{_REALM}, error="invalid_token"'}

_log = get_logger(__name__)


class Callers:
    """Finds out who calls."""

    def __init__(self, verifier: TokenVerifier, clock: Callable[[], float]) -> None:
        self._verifier = verifier
        self._clock = clock

    def identify_now(self, authorization: bytes | None) -> str | None:
        """Return the caller's subject; None if keys have to be fetched to know it.

        Args:
            authorization: the request's header.

        Raises:
            Problem: 401 without a good token.
        """
        result = self._verifier.check(_token_of(authorization), self._clock())
        if result is TokenFault.KEY or result is TokenFault.KEYS_UNAVAILABLE:
            return None
        return _subject_of(result)

    async def identify(self, authorization: bytes | None) -> str:
        """Return the caller's subject.

        Args:
            authorization: the request's header.

        Raises:
            Problem: 401 without a good token, 503 if there are no keys to know that by.
        """
        token = _token_of(authorization)
        return _subject_of(await self._verifier.check_with_news(token, self._clock()))


def _token_of(authorization: bytes | None) -> str:
    text = (authorization or b"").decode("ascii", "replace")
    scheme, _, token = text.partition(" ")
    if scheme.lower() != _SCHEME or not token.strip():
        raise Problem(401, "a ServiceAccount's bearer token is needed", _CHALLENGE)
    return token.strip()


def _subject_of(result: Verified | TokenFault) -> str:
    if isinstance(result, Verified):
        return result.subject
    _log.info("refused", reason=result.value)
    if result is TokenFault.KEYS_UNAVAILABLE:
        detail = "the keys that tokens are verified with cannot be had"
        raise Problem(503, detail, {"Retry-After": "2"})
    raise Problem(401, "the token is refused", _BAD_TOKEN, {"reason": result.value})
