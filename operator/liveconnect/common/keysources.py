"""Where key sets come from: a URL, an issuer's metadata, a file that the kubelet keeps up to date.

No adapter follows redirects: they could carry keys, or what is presented for them, elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from liveconnect.common.jsonerrors import MALFORMED
from liveconnect.common.jwks import KeySetError

MAX_DOCUMENT_BYTES: Final = 512 * 1024
FETCH_SECONDS: Final = 3.0
"""Time for a whole fetch: a hook that waits for it must answer within VerneMQ's 5 s."""


class FileKeySource:
    """A key set in a file; the kubelet replaces it when the Secret changes."""

    poll_seconds = 2.0

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = str(path)

    async def fetch(self) -> bytes:
        """Return the file's content."""
        try:
            if self._path.stat().st_size > MAX_DOCUMENT_BYTES:
                raise KeySetError(f"longer than {MAX_DOCUMENT_BYTES} bytes")
            return self._path.read_bytes()
        except OSError as error:
            raise KeySetError(error.strerror or "cannot be read") from error


def _no_headers() -> dict[str, str]:
    return {}


class HttpKeySource:
    """A key set behind a URL."""

    poll_seconds = 300.0

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        *,
        headers: Callable[[], dict[str, str]] = _no_headers,
        tls: Callable[[], ssl.SSLContext | bool] = lambda: True,
    ) -> None:
        """Make a source.

        Args:
            session: used for the requests.
            url: where the key set is.
            headers: called for each request; where a credential is presented.
            tls: called for each request; what the server is verified by.
        """
        self._session = session
        self._url = url
        self._headers = headers
        self._tls = tls
        self.name = url

    async def fetch(self) -> bytes:
        """Return the document. Redirects are not followed: they could carry the keys elsewhere."""
        with _faults():
            async with asyncio.timeout(FETCH_SECONDS):
                return await _get(self._session, self._url, self._headers(), tls=self._tls())


class _Metadata(msgspec.Struct, frozen=True):
    """What is read of an issuer's metadata (RFC 8414, section 2)."""

    issuer: str
    jwks_uri: str


class DiscoveredKeySource:
    """The key set that an issuer's metadata names (OpenID Connect Discovery 1.0, section 4).

    It is looked up again at each fetch: an issuer may move its keys.
    """

    poll_seconds = 300.0

    def __init__(self, session: aiohttp.ClientSession, issuer: str) -> None:
        self._session = session
        self._issuer = issuer
        self._url = issuer.rstrip("/") + "/.well-known/openid-configuration"
        self.name = self._url

    async def fetch(self) -> bytes:
        """Return the document."""
        with _faults():
            async with asyncio.timeout(FETCH_SECONDS):
                metadata = await _get(self._session, self._url, {}, tls=True)
                return await _get(self._session, self._keys_url(metadata), {}, tls=True)

    def _keys_url(self, document: bytes) -> str:
        try:
            metadata = msgspec.json.decode(document, type=_Metadata)
        except MALFORMED:
            raise KeySetError("no metadata with `issuer` and `jwks_uri`") from None
        if metadata.issuer != self._issuer:  # section 4.3: or another issuer could pose as it
            raise KeySetError("the metadata is another issuer's")
        secure = metadata.jwks_uri.startswith("https://")
        if not secure and self._issuer.startswith("https://"):
            raise KeySetError("`jwks_uri` is not https as the issuer is")
        return metadata.jwks_uri


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    """Turn what can go wrong into a `KeySetError`."""
    try:
        yield
    except TimeoutError:
        raise KeySetError(f"no answer within {FETCH_SECONDS:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise KeySetError(f"{type(error).__name__}: {error}") from error


async def _get(
    session: aiohttp.ClientSession,
    url: str,
    headers: dict[str, str],
    *,
    tls: ssl.SSLContext | bool,
) -> bytes:
    async with session.get(url, headers=headers, ssl=tls, allow_redirects=False) as response:
        if response.status != 200:
            raise KeySetError(f"HTTP {response.status}")
        return await read_bounded(response.content, MAX_DOCUMENT_BYTES)


async def read_bounded(stream: aiohttp.StreamReader, limit: int) -> bytes:
    """Read a body whose length nobody vouches for.

    Raises:
        KeySetError: it is longer than `limit` bytes.
    """
    content = bytearray()
    async for chunk in stream.iter_chunked(64 * 1024):
        content += chunk
        if len(content) > limit:
            raise KeySetError(f"longer than {limit} bytes")
    return bytes(content)
