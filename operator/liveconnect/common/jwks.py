"""JSON Web Key Sets: fetched once, kept when a refresh fails, asked anew for unknown keys.

The three rules are the outages that users of ready-made clients report: one fetch at a time, an old
set is better than none, and an attacker's unknown `kid` must not become a stream of requests.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

_LOG = logging.getLogger(__name__)
#: Age after which a set is fetched anew (seconds), and the least time between two fetches.
REFRESH_SECONDS = 300.0
RETRY_SECONDS = 10.0
_MAX_BYTES = 1 << 20
_TIMEOUT = aiohttp.ClientTimeout(total=4)


class KeysUnavailableError(Exception):
    """No key set could be had, not even an old one."""


class KeySource(Protocol):
    """Where the bytes of a key set come from."""

    async def load(self) -> bytes:
        """The key set as JSON.

        Raises:
            OSError: or aiohttp.ClientError, TimeoutError, when it cannot be had.
        """


class FileKeys:
    """A key set in a mounted file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self) -> bytes:
        """Read the file; it is small and local."""
        return self._path.read_bytes()


class UriKeys:
    """A key set behind a URI, optionally with a bearer token from a file and a CA of its own."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        uri: str,
        token: Path | None = None,
        ca: Path | None = None,
    ) -> None:
        self._session = session
        self._uri = uri
        self._token = token
        self._ca = ca

    async def load(self) -> bytes:
        """Fetch the set; redirects are not followed, at most 1 MiB is read."""
        headers = {"Accept": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.read_text().strip()}"
        tls: ssl.SSLContext | bool = True
        if self._ca is not None and self._uri.startswith("https:"):
            tls = ssl.create_default_context(cafile=str(self._ca))
        async with self._session.get(
            self._uri, headers=headers, ssl=tls, timeout=_TIMEOUT, allow_redirects=False
        ) as answer:
            if answer.status != 200:
                raise OSError(f"{self._uri} answered {answer.status}")
            return await answer.content.read(_MAX_BYTES)


class KeyCache:
    """One key set, cached."""

    def __init__(self, source: KeySource) -> None:
        self._source = source
        self._keys: KeySet | None = None
        self._kids: frozenset[str] = frozenset()
        self._loaded = 0.0
        self._tried = float("-inf")
        self._lock = asyncio.Lock()

    @property
    def available(self) -> bool:
        """Whether tokens can be checked now."""
        return self._keys is not None

    async def keys(self, kid: str | None) -> KeySet:
        """The key set, fetched anew when it is old or does not know `kid`.

        Raises:
            KeysUnavailableError: when there is none.
        """
        now = time.monotonic()
        known = kid is None or kid in self._kids
        if self._keys is None or not known or now - self._loaded > REFRESH_SECONDS:
            await self._refresh(kid)
        if self._keys is None:
            raise KeysUnavailableError("the key set could not be loaded yet")
        return self._keys

    async def _refresh(self, kid: str | None) -> None:
        async with self._lock:
            now = time.monotonic()
            fresh = self._keys is not None and now - self._loaded <= REFRESH_SECONDS
            if now - self._tried < RETRY_SECONDS or (fresh and kid in self._kids):
                return
            self._tried = now
            try:
                parsed: dict[str, Any] = json.loads(await self._source.load())
                keys = KeySet.import_key_set({"keys": _public(parsed)})
            except (OSError, aiohttp.ClientError, TimeoutError, ValueError, KeyError, JoseError,
                    TypeError, AttributeError) as error:  # fmt: skip
                _LOG.warning("key set not refreshed: %s: %s", type(error).__name__, error)
                return
            self._keys, self._loaded = keys, now
            self._kids = frozenset(k.kid for k in keys.keys if k.kid)


def _public(parsed: dict[str, Any]) -> list[dict[str, Any]]:
    """Signature keys only: a symmetric key in a set would open the door to HMAC confusion."""
    return [
        k
        for k in parsed["keys"]
        if k.get("kty") in {"RSA", "EC", "OKP"} and k.get("use", "sig") == "sig"
    ]
