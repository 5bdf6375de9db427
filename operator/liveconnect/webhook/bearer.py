"""Who may use an API of ours: ServiceAccounts that the cluster object names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from liveconnect.common.problem import Problem
from liveconnect.common.tokens import TokenKind, TokenRefusedError, TokenVerifier

_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="liveconnect"'}


class Bearers:
    """Lets those pass who present a token of a ServiceAccount that is named."""

    def __init__(
        self,
        verifier: TokenVerifier,
        subjects: Iterable[str],
        clock: Callable[[], float],
        role: str,
    ) -> None:
        """Make it.

        Args:
            verifier: proves whose token it is.
            subjects: who may.
            clock: returns seconds since the epoch.
            role: what the cluster object calls them, for the error.
        """
        self._verifier = verifier
        self._subjects = frozenset(subjects)
        self._clock = clock
        self._role = role

    async def admit(self, authorization: bytes) -> str:
        """Return who it is.

        Args:
            authorization: the request's header.

        Raises:
            Problem: 401 without a good token, 403 for everybody who may not.
        """
        scheme, _, token = authorization.decode("ascii", "replace").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Problem(401, "a ServiceAccount's bearer token is needed", _CHALLENGE)
        try:
            identity = await self._verifier.verify(token.strip(), self._clock())
        except TokenRefusedError as error:
            reason = {"reason": error.fault}
            raise Problem(401, "the token is refused", _CHALLENGE, reason) from None
        named = identity.subject in self._subjects
        if identity.kind is not TokenKind.SERVICE_ACCOUNT or not named:
            raise Problem(403, f"the cluster object does not name this caller as a {self._role}")
        return identity.subject
