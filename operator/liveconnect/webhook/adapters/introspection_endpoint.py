"""The introspection endpoint of an authorization server (RFC 7662), over HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus

import aiohttp
import msgspec

from liveconnect.api.operands import IntrospectionProvider
from liveconnect.common.jsonerrors import MALFORMED
from liveconnect.common.jwks import KeySetError
from liveconnect.common.keysources import FETCH_SECONDS, read_bounded

_MAX_ANSWER_BYTES: Final = 64 * 1024
_MAX_AT_ONCE: Final = 64


class IntrospectionError(Exception):
    """The authorization server cannot be asked; the message says why, without token or secret."""


class IntrospectionEndpoint:
    """Asks one authorization server."""

    def __init__(self, session: aiohttp.ClientSession, provider: IntrospectionProvider) -> None:
        self._session = session
        self._url = provider.url
        self._client_id = provider.client_id
        self._secret_file = Path(provider.client_secret_file)
        self._turn = asyncio.Semaphore(_MAX_AT_ONCE)

    async def ask(self, token: str) -> dict[str, Any]:
        """Return what the server says of a token.

        Raises:
            IntrospectionError: it does not answer as RFC 7662 wants, or not in time.
        """
        try:
            async with asyncio.timeout(FETCH_SECONDS), self._turn:
                return await self._post(token)
        except TimeoutError:
            raise IntrospectionError(f"no answer within {FETCH_SECONDS:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError, KeySetError) as error:
            raise IntrospectionError(f"{type(error).__name__}: {error}") from None

    async def _post(self, token: str) -> dict[str, Any]:
        async with self._session.post(
            self._url,
            data={"token": token, "token_type_hint": "access_token"},
            auth=self._credentials(),
            headers={"Accept": "application/json"},
            allow_redirects=False,  # the token and our secret would go along
        ) as response:
            if response.status != 200:
                raise IntrospectionError(f"HTTP {response.status}")
            content = await read_bounded(response.content, _MAX_ANSWER_BYTES)
        try:
            return msgspec.json.decode(content, type=dict[str, Any])
        except MALFORMED:
            raise IntrospectionError("the answer is no JSON object") from None

    def _credentials(self) -> aiohttp.BasicAuth:
        """Read the secret anew: the kubelet replaces the file when the Secret changes."""
        try:
            secret = self._secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise IntrospectionError(f"client secret: {type(error).__name__}") from None
        # RFC 6749, section 2.3.1: both are form-encoded first.
        return aiohttp.BasicAuth(quote_plus(self._client_id), quote_plus(secret))
