"""Presence as the auth service tells it, over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import quote

import aiohttp
import msgspec

from liveconnect.common.serviceaccounts import OwnToken
from liveconnect.gateway.presence import ClientPresence, PresenceUnavailableError

_TIMEOUT: Final = aiohttp.ClientTimeout(total=3.0)
_decode: Final = msgspec.json.Decoder(ClientPresence).decode


class HttpPresence:
    """Asks the auth service; implements `presence.Presence`."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token_file: Path) -> None:
        """Make it.

        Args:
            session: its owner closes it.
            url: of the auth service.
            token_file: own ServiceAccount token, presented to it.
        """
        self._session = session
        self._url = url
        self._token = OwnToken(token_file)

    async def of(self, client_id: str) -> ClientPresence:
        """Return what is known of a client.

        Raises:
            PresenceUnavailableError: the auth service does not say.
        """
        token = self._token.read()
        if token is None:
            raise PresenceUnavailableError("own token cannot be read")
        url = f"{self._url}/v1/clients/{quote(client_id, safe='')}"
        headers = {"Authorization": f"Bearer {token.reveal()}"}
        try:
            async with self._session.get(url, headers=headers, timeout=_TIMEOUT) as answer:
                if answer.status == 404:
                    return ClientPresence(client_id, "unknown")
                if answer.status != 200:
                    raise PresenceUnavailableError(f"the auth service answers {answer.status}")
                return _decode(await answer.read())
        except TimeoutError:
            raise PresenceUnavailableError("the auth service does not answer in time") from None
        except aiohttp.ClientError as error:
            reason = type(error).__name__
            raise PresenceUnavailableError(f"the auth service cannot be asked: {reason}") from None
        except msgspec.DecodeError:
            raise PresenceUnavailableError("the auth service's answer is not its own") from None
