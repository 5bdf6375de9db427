"""Where key sets come from: a URL, or a file that the kubelet keeps up to date."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

import aiohttp

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
        try:
            async with (
                asyncio.timeout(FETCH_SECONDS),
                self._session.get(
                    self._url,
                    headers=self._headers(),
                    ssl=self._tls(),
                    allow_redirects=False,
                ) as response,
            ):
                if response.status != 200:
                    raise KeySetError(f"HTTP {response.status}")
                return await _read(response.content)
        except TimeoutError:
            raise KeySetError(f"no answer within {FETCH_SECONDS:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise KeySetError(f"{type(error).__name__}: {error}") from error


async def _read(stream: aiohttp.StreamReader) -> bytes:
    content = bytearray()
    async for chunk in stream.iter_chunked(64 * 1024):
        content += chunk
        if len(content) > MAX_DOCUMENT_BYTES:
            raise KeySetError(f"longer than {MAX_DOCUMENT_BYTES} bytes")
    return bytes(content)
