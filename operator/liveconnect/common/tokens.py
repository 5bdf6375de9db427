"""Verification of bearer tokens: who signed it, for whom, and until when.

`TokenVerifier.check` decides with the keys at hand and never waits; `verify` fetches keys first
where that can help. What was verified is remembered until it expires, so that a client's later
requests cost a hash and a look-up.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from liveconnect.common.claims import (
    TokenFault,
    check_times,
    groups_of,
    is_for,
    issued_at,
    subject_of,
    token_id_of,
)
from liveconnect.common.jose import (
    MAX_TOKEN_BYTES,
    CompactToken,
    MalformedTokenError,
    parse_compact,
)
from liveconnect.common.jwks import KeyCache
from liveconnect.common.verified import TokenKind, Verified

__all__ = [
    "MAX_REMEMBERED",
    "NEWS_MAY_HELP",
    "Issuer",
    "TokenFault",
    "TokenKind",
    "TokenRefusedError",
    "TokenVerifier",
    "Verified",
    "check_against",
]

MAX_REMEMBERED: Final = 100_000
"""Verified tokens that are remembered at most; about 2 KiB each with a dozen claims."""


REFUSED_SECONDS: Final = 30.0
"""How long it is remembered that a token is bad, so that a loop of it costs next to nothing."""
MAX_REFUSED: Final = 20_000

_COSTLY: Final = frozenset({TokenFault.SIGNATURE, TokenFault.AUDIENCE, TokenFault.EXPIRED})
"""Faults that are found only after the signature was looked at, and that time does not cure."""

NEWS_MAY_HELP: Final = frozenset(
    {TokenFault.KEY, TokenFault.KEYS_UNAVAILABLE, TokenFault.NOT_ASKED_YET}
)
"""Faults that asking the provider may cure."""


@dataclass(frozen=True)
class Issuer:
    """One issuer that is trusted, and for what."""

    kind: TokenKind
    name: Callable[[], str | None]
    """Returns the exact `iss`; None while that is not known."""
    audiences: frozenset[str]
    algorithms: frozenset[str]
    """Accepted `alg` values."""
    leeway_seconds: float
    keys: KeyCache
    client_id_claim: str = ""
    subject_claim: str = "sub"
    groups_claim: str = "groups"


class TokenRefusedError(Exception):
    """The token does not prove anything; `fault` says why."""

    def __init__(self, fault: TokenFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class _Remembered(msgspec.Struct, frozen=True, eq=False, gc=False):
    verified: Verified
    issuer: Issuer
    generation: int


class _Refusal(msgspec.Struct, frozen=True, eq=False, gc=False):
    fault: TokenFault
    until: float
    keys: tuple[int, ...]


class TokenVerifier:
    """Verifies the tokens of several issuers."""

    def __init__(self, issuers: Sequence[Issuer], max_remembered: int = MAX_REMEMBERED) -> None:
        self._issuers = tuple(issuers)
        self._max_remembered = max_remembered
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._refused: OrderedDict[bytes, _Refusal] = OrderedDict()
        self.hits = 0
        """Checks that were answered from memory."""
        self.misses = 0
        """Checks that were not."""

    def check(self, token: str | None, now: float) -> Verified | TokenFault:
        """Verify a token with the keys at hand.

        Args:
            token: the token, without a scheme before it.
            now: seconds since the epoch.
        """
        if not token:
            return TokenFault.MISSING
        if len(token) > MAX_TOKEN_BYTES:
            return TokenFault.TOO_LONG
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        remembered = self._remembered.get(digest)
        if remembered is not None:
            return self._check_remembered(digest, remembered, token, now)
        refusal = self._refused.get(digest)
        if refusal is not None and now < refusal.until and refusal.keys == self._generations():
            self.hits += 1
            return refusal.fault
        self.misses += 1
        result = self._check_anew(digest, token, now)
        if result in _COSTLY:
            self._remember_refusal(digest, result, now)
        return result

    async def check_with_news(self, token: str | None, now: float) -> Verified | TokenFault:
        """Verify a token; where its key is not known, ask for news of the keys first."""
        result = self.check(token, now)
        if isinstance(result, Verified) or result not in NEWS_MAY_HELP or not token:
            return result
        name = parse_compact(token).claims.get("iss")
        for issuer in self._issuers:
            if issuer.name() == name:
                await issuer.keys.refresh()
        return self.check(token, now)

    async def verify(self, token: str | None, now: float) -> Verified:
        """Verify a token as `check_with_news` does.

        Raises:
            TokenRefusedError: it does not prove anything.
        """
        result = await self.check_with_news(token, now)
        if isinstance(result, TokenFault):
            raise TokenRefusedError(result)
        return result

    def _check_remembered(
        self, digest: bytes, remembered: _Remembered, token: str, now: float
    ) -> Verified | TokenFault:
        issuer, verified = remembered.issuer, remembered.verified
        if remembered.generation != issuer.keys.generation:
            del self._remembered[digest]
            return self._check_anew(digest, token, now)
        if now >= verified.expires_at + issuer.leeway_seconds:
            del self._remembered[digest]
            return TokenFault.EXPIRED
        self.hits += 1
        self._remembered.move_to_end(digest)
        return verified

    def _check_anew(self, digest: bytes, token: str, now: float) -> Verified | TokenFault:
        try:
            parsed = parse_compact(token)
        except MalformedTokenError:
            return TokenFault.MALFORMED
        result: Verified | TokenFault = TokenFault.ISSUER
        name = parsed.claims.get("iss")
        if not isinstance(name, str) or not name:
            return TokenFault.ISSUER
        for issuer in self._issuers:
            if issuer.name() != name:
                continue
            # Two issuers of one name differ in audience: a Kubernetes cluster may issue both kinds.
            result = check_against(issuer, name, parsed, now)
            if isinstance(result, Verified):
                self._remember(digest, _Remembered(result, issuer, issuer.keys.generation))
                return result
        return result

    def _remember_refusal(self, digest: bytes, fault: TokenFault, now: float) -> None:
        self._refused[digest] = _Refusal(fault, now + REFUSED_SECONDS, self._generations())
        self._refused.move_to_end(digest)
        if len(self._refused) > MAX_REFUSED:
            self._refused.popitem(last=False)

    def _generations(self) -> tuple[int, ...]:
        """Return what changes with every key set."""
        return tuple(issuer.keys.generation for issuer in self._issuers)

    def _remember(self, digest: bytes, entry: _Remembered) -> None:
        self._remembered[digest] = entry
        if len(self._remembered) > self._max_remembered:
            self._remembered.popitem(last=False)


def check_against(
    issuer: Issuer, name: str, token: CompactToken, now: float
) -> Verified | TokenFault:
    """Check a token against the one issuer that it names.

    The signature comes before the claims: nothing is said of a token that nobody signed.
    """
    claims = token.claims
    fault = _check_signature(issuer, token) or check_times(claims, issuer.leeway_seconds, now)
    if fault is not None:
        return fault
    if not is_for(claims, issuer.audiences):
        return TokenFault.AUDIENCE
    subject = subject_of(claims, issuer.subject_claim)
    if subject is None:
        return TokenFault.CLAIMS
    return Verified(
        kind=issuer.kind,
        issuer=name,
        subject=subject,
        claims=claims,
        expires_at=float(claims["exp"]),
        client_id_claim=issuer.client_id_claim,
        groups=groups_of(claims, issuer.groups_claim),
        token_id=token_id_of(claims),
        issued_at=issued_at(claims),
    )


def _check_signature(issuer: Issuer, token: CompactToken) -> TokenFault | None:
    algorithm = token.header.alg
    if algorithm not in issuer.algorithms:
        return TokenFault.ALGORITHM
    if not issuer.keys.usable:
        return TokenFault.KEYS_UNAVAILABLE
    candidates = issuer.keys.keys.find(token.header.kid, algorithm)
    if not candidates:
        return TokenFault.KEY
    for key in candidates:
        if key.verify(algorithm, token.signed, token.signature):
            return None
    return TokenFault.SIGNATURE
