"""Presence as the auth service tells it, over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from liveconnect.api.operands import ClientTls
from liveconnect.common.serviceaccounts import OwnToken
from liveconnect.gateway.adapters.clienttls import FollowedContext, known_by
from liveconnect.gateway.presence import (
    ClientPresence,
    CursorError,
    MemberPage,
    Members,
    PresenceUnavailableError,
)

_TIMEOUT: Final = aiohttp.ClientTimeout(total=3.0)
_UNKNOWN: Final = "unknown"

_Model = TypeVar("_Model", bound=msgspec.Struct)


class _Page(msgspec.Struct, frozen=True):
    items: tuple[ClientPresence, ...]
    next: str | None


class _Found(msgspec.Struct, frozen=True):
    items: tuple[ClientPresence, ...]


class HttpPresence:
    """Asks the auth service; implements `presence.Presence`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        token_file: Path,
        tls: ClientTls | None = None,
    ) -> None:
        """Make it.

        Args:
            session: its owner closes it.
            url: of the auth service.
            token_file: own ServiceAccount token, presented to it.
            tls: how it is known where the URL is of HTTPS.
        """
        self._session = session
        self._url = url
        self._token = OwnToken(token_file)
        self._context = None if tls is None else FollowedContext(tls, "the auth service")

    async def of(self, client_id: str) -> ClientPresence:
        """Return what is known of a client.

        Raises:
            PresenceUnavailableError: the auth service does not say.
        """
        status, body = await self._ask("GET", f"/v1/clients/{quote(client_id, safe='')}")
        if status == 404:
            return ClientPresence(client_id, _UNKNOWN)
        return _read(status, body, ClientPresence)

    async def members(self, members: Members, after: str | None, limit: int) -> MemberPage:
        """Return some clients, as `presence.Presence.members` says."""
        if members.client_ids:
            return await self._listed(members.client_ids, after, limit)
        query = {"limit": str(limit)}
        query |= {"group": members.group} if members.group else {"prefix": members.prefix}
        if after is not None:
            query["cursor"] = after
        status, body = await self._ask("GET", "/v1/clients", params=query)
        if status == 400 and after is not None:
            raise CursorError("give back what the page before had as next")
        page = _read(status, body, _Page)
        return MemberPage(page.items, page.next)

    async def _listed(self, ids: tuple[str, ...], after: str | None, limit: int) -> MemberPage:
        begin = _index(after, len(ids))
        wanted = ids[begin : begin + limit]
        status, body = await self._ask("POST", "/v1/lookups", json={"clientIds": wanted})
        found = {one.client_id: one for one in _read(status, body, _Found).items}
        clients = tuple(found.get(one) or ClientPresence(one, _UNKNOWN) for one in wanted)
        end = begin + len(wanted)
        return MemberPage(clients, str(end) if end < len(ids) else None)

    async def _ask(self, method: str, path: str, **more: Any) -> tuple[int, bytes]:
        token = self._token.read()
        if token is None:
            raise PresenceUnavailableError("own token cannot be read")
        context = known_by(self._context)
        if context is None:
            raise PresenceUnavailableError("the auth service's authorities cannot be read")
        headers = {"Authorization": f"Bearer {token.reveal()}"}
        try:
            async with self._session.request(
                method,
                self._url + path,
                headers=headers,
                timeout=_TIMEOUT,
                ssl=context,
                **more,
            ) as answer:
                return answer.status, await answer.read()
        except TimeoutError:
            raise PresenceUnavailableError("the auth service does not answer in time") from None
        except aiohttp.ClientError as error:
            reason = type(error).__name__
            raise PresenceUnavailableError(f"the auth service cannot be asked: {reason}") from None


def _read(status: int, body: bytes, model: type[_Model]) -> _Model:
    if status != 200:
        raise PresenceUnavailableError(f"the auth service answers {status}")
    try:
        return msgspec.json.decode(body, type=model)
    except msgspec.DecodeError:
        raise PresenceUnavailableError("the auth service's answer is not its own") from None


def _index(after: str | None, most: int) -> int:
    if after is None:
        return 0
    if not (after.isascii() and after.isdecimal() and len(after) <= 9 and int(after) < most):
        raise CursorError("give back what the page before had as next")
    return int(after)
