"""All revocations that are in force, and whether they cover a token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from liveconnect.common.tokens import Verified
from liveconnect.webhook.revocations.revocation import Kind, Revocation

SKEW_SECONDS: Final = 5.0
"""A token that was issued so shortly after counts as issued before: the issuer's clock may be
ahead of the store's. Who logs in again at once waits that long."""

_Key = tuple[Kind, str, str]


class Revoked:
    """Revocations as they are in force."""

    def __init__(self) -> None:
        self._by_id: dict[str, Revocation] = {}
        self._by_key: dict[_Key, dict[str, Revocation]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Revocation]:
        return iter(self._by_id.values())

    def get(self, identifier: str) -> Revocation | None:
        """Return a revocation."""
        return self._by_id.get(identifier)

    def add(self, revocation: Revocation) -> None:
        """Put one in force; again changes nothing."""
        self._by_id[revocation.id] = revocation
        self._by_key.setdefault(_key(revocation), {})[revocation.id] = revocation

    def remove(self, identifier: str) -> None:
        """Put one out of force; one that is not there is no fault."""
        revocation = self._by_id.pop(identifier, None)
        if revocation is None:
            return
        key = _key(revocation)
        self._by_key[key].pop(identifier, None)
        if not self._by_key[key]:
            del self._by_key[key]

    def forget(self, now: float) -> None:
        """Drop those that are over."""
        for revocation in [one for one in self if one.until <= now]:
            self.remove(revocation.id)

    def covers(self, identity: Verified, client_id: str, now: float) -> bool:
        """Return whether a token is revoked.

        Args:
            identity: what it proves.
            client_id: the MQTT client that presents it.
            now: seconds since the epoch.
        """
        if not self._by_key:
            return False
        named = (
            (Kind.SUBJECT, identity.subject),
            (Kind.CLIENT, client_id),
            (Kind.TOKEN, identity.token_id),
        )
        return any(
            _applies(revocation, identity, now)
            for kind, value in named
            if value
            for issuer in ("", identity.issuer)
            for revocation in self._by_key.get((kind, issuer, value), {}).values()
        )


def _key(revocation: Revocation) -> _Key:
    return revocation.kind, revocation.issuer, revocation.value


def _applies(revocation: Revocation, identity: Verified, now: float) -> bool:
    if revocation.until <= now:
        return False
    return revocation.kind is Kind.TOKEN or identity.issued_at <= revocation.at + SKEW_SECONDS
