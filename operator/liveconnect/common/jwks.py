"""JSON Web Key Sets (RFC 7517): which keys they hold, and a cache that follows their changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from joserfc import jwk
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from liveconnect.api.v1alpha1 import Algorithm
from liveconnect.common.jsonerrors import MALFORMED
from liveconnect.common.logs import get_logger

MIN_RSA_BITS: Final = 2048
MAX_KEYS: Final = 64
"""Further keys of a set are ignored."""

_EDDSA_NAMES: Final = ("EdDSA", "Ed25519")
"""RFC 8037's name and RFC 9864's more exact one for the same signature."""

_log = get_logger(__name__)


class SignatureAlgorithm(Protocol):
    """What is used of joserfc's algorithms, whose own type is not public."""

    name: str

    def check_key(self, key: Any) -> None:
        """Raise `JoseError` when the key is not of this algorithm's type or curve."""

    def verify(self, msg: bytes, sig: bytes, key: Any) -> bool:
        """Return whether the signature is right."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key, with the algorithms that it may be used with."""

    kid: str | None
    key: jwk.Key
    algorithms: Mapping[str, SignatureAlgorithm]

    def verify(self, algorithm: str, signed: bytes, signature: bytes) -> bool:
        """Return whether `signature` is this key's signature of `signed`."""
        model = self.algorithms.get(algorithm)
        return model is not None and model.verify(signed, signature, self.key)


class KeySetError(Exception):
    """A key set that cannot be had or used; the message says why."""


class KeySet:
    """The usable keys of one key set."""

    def __init__(self, keys: Iterable[VerificationKey] = ()) -> None:
        self.keys = tuple(keys)
        self._index: dict[tuple[str | None, str], tuple[VerificationKey, ...]] = {}
        for key in self.keys:
            for algorithm in key.algorithms:
                for kid in {key.kid, None}:
                    found = self._index.get((kid, algorithm), ())
                    self._index[kid, algorithm] = (*found, key)

    def find(self, kid: str | None, algorithm: str) -> tuple[VerificationKey, ...]:
        """Return the keys that a token with this header may be signed with.

        Args:
            kid: the header's key id; a token without one may have been signed with any key.
            algorithm: the header's algorithm.
        """
        return self._index.get((kid, algorithm), ())


def _algorithm_models() -> dict[str, SignatureAlgorithm]:
    names = {algorithm.value for algorithm in Algorithm} | set(_EDDSA_NAMES)
    return {name: JWSRegistry.algorithms[name] for name in sorted(names)}


_MODELS: Final = _algorithm_models()


def accepted_algorithms(algorithms: list[Algorithm]) -> frozenset[str]:
    """Return the `alg` values that an allow-list means."""
    names = {algorithm.value for algorithm in algorithms}
    return frozenset(names | set(_EDDSA_NAMES) if Algorithm.EDDSA in algorithms else names)


def _usable_with(key: jwk.Key, model: SignatureAlgorithm) -> bool:
    try:
        model.check_key(key)
        key.check_use("sig")
        key.check_key_op("verify")
    except JoseError:
        return False
    return True


def _import_key(entry: Any) -> VerificationKey | None:
    if not isinstance(entry, dict) or entry.get("kty") not in ("RSA", "EC", "OKP"):
        return None  # "oct" above all: a published symmetric key is no key
    try:
        # RFC 8037 and RFC 9864 have two names for one algorithm; joserfc wants the very same.
        names = {**entry, "alg": None} if entry.get("alg") in _EDDSA_NAMES else entry
        key = jwk.import_key({name: value for name, value in names.items() if value is not None})
        if isinstance(key, jwk.RSAKey) and key.raw_value.key_size < MIN_RSA_BITS:
            return None
    except (JoseError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return None
    if isinstance(key, jwk.OKPKey) and key.curve_name != "Ed25519":
        return None
    algorithms = {name: model for name, model in _MODELS.items() if _usable_with(key, model)}
    kid = entry.get("kid")
    if not algorithms or not isinstance(kid, str | None):
        return None
    return VerificationKey(kid, key, algorithms)


def parse_key_set(document: bytes) -> KeySet:
    """Read a key set; keys that cannot be used here are left out.

    Raises:
        KeySetError: the document is no key set or has no usable key.
    """
    try:
        content = msgspec.json.decode(document)
    except MALFORMED:
        raise KeySetError("not JSON") from None
    entries = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise KeySetError("no `keys` in it")
    imported = (_import_key(entry) for entry in entries[:MAX_KEYS])
    keys = tuple(key for key in imported if key is not None)
    if not keys:
        raise KeySetError("no usable public key in it")
    return KeySet(keys)


class KeySource(Protocol):
    """Where a key set comes from."""

    @property
    def name(self) -> str:
        """What logs call it."""

    @property
    def poll_seconds(self) -> float:
        """How often it is asked for news."""

    async def fetch(self) -> bytes:
        """Return the document.

        Raises:
            KeySetError: it cannot be had.
        """


class KeyCache:
    """The keys of one source, kept up to date.

    Verification reads `keys` and never waits. A background task asks the source from time to time;
    an unknown key id asks it at once, but all who wait share one request, and there is one in
    `refetch_after` seconds at most, so that invented key ids cannot turn us against the source.
    When the source fails, the keys stay for `stale_after` seconds.
    """

    def __init__(
        self,
        source: KeySource,
        *,
        refetch_after: float = 10.0,
        retry_after: float = 1.0,
        stale_after: float = 24 * 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._refetch_after = refetch_after
        self._retry_after = retry_after
        self._stale_after = stale_after
        self._clock = clock
        self._document: bytes | None = None
        self._confirmed = -float("inf")
        self._attempted = -float("inf")
        self._under_way: asyncio.Task[None] | None = None
        self.keys = KeySet()
        self.generation = 0
        """Grows whenever the keys change: what was verified with older keys is to be verified
        again."""
        self.fault: str | None = "not fetched yet"
        """Why the last attempt failed."""
        self.failures = 0
        """Attempts that failed."""

    @property
    def age(self) -> float:
        """Seconds since the source last confirmed the keys; infinite if it never did."""
        return self._clock() - self._confirmed

    @property
    def usable(self) -> bool:
        """Whether there are keys to verify with."""
        return bool(self.keys.keys)

    def count(self) -> float:
        """Return the number of usable keys, for metrics."""
        return float(len(self.keys.keys))

    async def refresh(self) -> None:
        """Ask the source, unless that was done a moment ago; never raises."""
        if self._under_way is None:
            pause = self._refetch_after if self.usable else self._retry_after
            if self._clock() - self._attempted < pause:
                return
            self._under_way = asyncio.create_task(self._fetch())
            self._under_way.add_done_callback(self._ended)
        await asyncio.shield(self._under_way)

    def _ended(self, _task: asyncio.Task[None]) -> None:
        self._under_way = None

    async def keep_fresh(self) -> None:
        """Ask the source again and again; runs until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(
                self._source.poll_seconds if self.fault is None else max(1.0, self._retry_after)
            )

    async def _fetch(self) -> None:
        self._attempted = self._clock()
        try:
            self._take(await self._source.fetch())
        except KeySetError as error:
            self._keep(str(error))
        except Exception as error:  # noqa: BLE001 - the document is a stranger's; the keys stay
            self._keep(f"unexpected {type(error).__name__}")
        else:
            self._confirmed = self._clock()
            if self.fault is not None:
                _log.info("keys loaded", source=self._source.name, keys=len(self.keys.keys))
            self.fault = None

    def _take(self, document: bytes) -> None:
        if document == self._document:
            return
        self.keys = parse_key_set(document)
        self._document = document
        self.generation += 1

    def _keep(self, reason: str) -> None:
        self.failures += 1
        if reason != self.fault:
            _log.warning("keys cannot be fetched", source=self._source.name, reason=reason)
        self.fault = reason
        if self.usable and self._clock() - self._confirmed > self._stale_after:
            _log.error("keys dropped, too old", source=self._source.name)
            self.keys, self._document = KeySet(), None
            self.generation += 1
