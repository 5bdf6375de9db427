"""Everything that revocation is made of, put together."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Self

import aiohttp

from liveconnect.api.operands import AuthConfig
from liveconnect.common.tokens import TokenVerifier
from liveconnect.webhook.adapters.brokers import Brokers
from liveconnect.webhook.adapters.group_index import GroupIndex
from liveconnect.webhook.adapters.revocation_log import RevocationLog
from liveconnect.webhook.adapters.session_index import SessionIndex
from liveconnect.webhook.adapters.store_connection import StoreConnection
from liveconnect.webhook.bearer import Bearers
from liveconnect.webhook.enforcement import Enforcement
from liveconnect.webhook.revocation_api import RevocationApi


@dataclass(frozen=True)
class Revoking:
    """The parts that others speak to."""

    index: SessionIndex
    enforcement: Enforcement
    api: RevocationApi

    @classmethod
    def of(
        cls,
        config: AuthConfig,
        session: aiohttp.ClientSession,
        store: StoreConnection,
        verifier: TokenVerifier,
        issuers: Callable[[], Sequence[str]],
    ) -> Self:
        """Make it.

        Args:
            config: says who may revoke, and where the brokers are.
            session: used to speak to the brokers.
            store: where revocations and sessions are kept.
            verifier: proves who wants to revoke.
            issuers: returns the issuers that are known.
        """
        index = SessionIndex(store, store.keys.mark, GroupIndex(store, store.keys))
        log = RevocationLog(store, store.keys.mark("revocations"))
        brokers = None if config.brokers is None else Brokers(session, config.brokers)
        enforcement = Enforcement(log, index, brokers, issuers)
        revokers = Bearers(verifier, config.revokers, time.time, "revoker")
        return cls(index, enforcement, RevocationApi(revokers, log, enforcement, time.time))

    def work(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """Return what has to run in the background."""
        return self.index.run(), self.enforcement.run()
