"""Asks the gateway's other pods whether they are ready, as the kubelet does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import aiohttp

from liveconnect.api.operands import GatewayHttps
from liveconnect.common.logs import get_logger
from liveconnect.gateway.adapters.clienttls import FollowedContext, known_by
from liveconnect.gateway.adapters.forward import OTHER_PODS
from liveconnect.gateway.peers import Peers, ReadyPods

_READY: Final = "/readyz"
_LOOK_SECONDS: Final = 1.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=2.0)
_SILENT_LOOKS: Final = 2
"""A pod that is busy may be late once; one that says no, or is not there, is believed at once."""

_log = get_logger(__name__)


class PeerWatch:
    """Knows which pods are ready, and tells when that changes."""

    def __init__(
        self,
        peers: Peers,
        url: str,
        https: GatewayHttps | None,
        changed: Callable[[int], None],
    ) -> None:
        """Make it.

        Args:
            peers: the pods.
            url: of a pod, with `{ordinal}`.
            https: how they are known where they are asked by HTTPS.
            changed: called with the number of ready pods, this one included, when it changes.
        """
        self._peers = peers
        self._url = url
        self._context = None if https is None else FollowedContext(https.peer, OTHER_PODS)
        self._host = None if https is None else https.host
        self._changed = changed
        self._pods = ReadyPods(peers)

    @property
    def count(self) -> int:
        """How many pods are ready, this one included; all of them until they have been asked."""
        return self._pods.count

    async def run(self) -> None:
        """Keep asking until cancelled."""
        # Connections of its own: behind requests that are handed over, pods would seem to be gone.
        # No remembered addresses: a pod that is made anew has another one.
        connector = aiohttp.TCPConnector(use_dns_cache=False)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as session,
            asyncio.TaskGroup() as tasks,
        ):
            for ordinal in self._peers.others:
                tasks.create_task(self._follow(session, ordinal))

    async def _follow(self, session: aiohttp.ClientSession, ordinal: int) -> None:
        silent = 0
        while True:
            answer = await self._ask(session, ordinal)
            silent = silent + 1 if answer is None else 0
            if answer is not None or silent >= _SILENT_LOOKS:
                self._note(ordinal, ready=bool(answer))
            await asyncio.sleep(_LOOK_SECONDS)

    def _note(self, ordinal: int, *, ready: bool) -> None:
        if self._pods.note(ordinal, ready=ready):
            _log.info("a pod came or went", pod=ordinal, ready=ready, pods=self.count)
            self._changed(self.count)

    async def _ask(self, session: aiohttp.ClientSession, ordinal: int) -> bool | None:
        """Return whether a pod is ready; None if it does not say in time.

        One that this pod cannot know, by certificates that do not fit, is there all the same.
        """
        context = known_by(self._context)
        if context is None:
            return True
        try:
            async with session.get(
                self._url.replace("{ordinal}", str(ordinal)) + _READY,
                ssl=context,
                server_hostname=self._host,
                allow_redirects=False,
            ) as answer:
                return answer.status == 200
        except aiohttp.ClientSSLError:
            return True
        except TimeoutError:
            return None
        except aiohttp.ClientError:
            return False
