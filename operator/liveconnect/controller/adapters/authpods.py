"""What the pods of the auth service say: which rules each of them applies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

import aiohttp

from liveconnect.controller.model.names import SERVICE_PORT
from liveconnect.controller.model.observed import AuthPodView

_ASK = aiohttp.ClientTimeout(total=3, connect=2)


class AuthPods(Protocol):
    """What the reconciler needs of the auth service."""

    async def look(self, pods: Iterable[AuthPodView]) -> tuple[AuthPodView, ...]:
        """Return the ready ones, each with the rules that it says it applies."""


class HttpAuthPods:
    """The pods over HTTP, by address."""

    def __init__(self, session: aiohttp.ClientSession, port: int = SERVICE_PORT) -> None:
        self._session = session
        self._port = port

    async def look(self, pods: Iterable[AuthPodView]) -> tuple[AuthPodView, ...]:
        """Ask every ready pod that has an address, all at once."""
        asked = [pod for pod in pods if pod.ready and pod.ip]
        found = await asyncio.gather(*(self._digest(pod.ip) for pod in asked))
        return tuple(replace(pod, rules=rules) for pod, rules in zip(asked, found, strict=True))

    async def _digest(self, ip: str) -> str:
        host = f"[{ip}]" if ":" in ip else ip
        url = f"http://{host}:{self._port}/v1/rules"
        try:
            async with self._session.get(url, timeout=_ASK, allow_redirects=False) as answer:
                answer.raise_for_status()
                return str((await answer.json())["digest"])
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError):
            return ""
