"""The caller's token: the one that the kubelet projects into its pod, and renews there."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Final

import httpx

from liveconnect.client.errors import TokenError

TOKEN_FILE: Final = Path("/var/run/secrets/liveconnect.io/token")
"""Where the examples mount the projected token."""


class ProjectedToken(httpx.Auth):
    """A token in a file, read for each call: the kubelet replaces it before it expires."""

    def __init__(self, path: Path = TOKEN_FILE) -> None:
        """Read from a file.

        Args:
            path: of a ServiceAccount token that is projected with the audience `liveconnect`.
        """
        self._path = path

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the token; once more if it was replaced while the call was under way.

        Raises:
            TokenError: there is no token.
        """
        token = self._read()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code != httpx.codes.UNAUTHORIZED:
            return
        fresh = self._read()
        if fresh != token:
            request.headers["Authorization"] = f"Bearer {fresh}"
            yield request

    def _read(self) -> str:
        hint = "project a serviceAccountToken with audience liveconnect there"
        try:
            token = self._path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not ASCII"
            raise TokenError(f"token file {self._path}: {reason}; {hint}") from None
        if not token:
            raise TokenError(f"token file {self._path}: empty; {hint}")
        return token
