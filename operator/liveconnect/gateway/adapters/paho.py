"""The link to the publisher pool: always one session to publish on, whatever becomes of it.

A session that ends is replaced after a jittered pause; one whose token grows old is replaced
before the broker cuts it: the new one is connected first, then the old one finishes its messages.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from pathlib import Path
from typing import Final

import msgspec

from liveconnect.api.operands import ClientTls
from liveconnect.common.logs import get_logger
from liveconnect.gateway import metrics
from liveconnect.gateway.adapters.credential import Credential, read_credential
from liveconnect.gateway.adapters.nodes import node_address
from liveconnect.gateway.adapters.pause import again_and_again
from liveconnect.gateway.adapters.session import (
    ACK_SECONDS,
    ConnectError,
    Orphaned,
    Session,
)
from liveconnect.gateway.messages import Message
from liveconnect.gateway.publishing import LinkDownError, Receipt

_RENEWAL_POLL_SECONDS: Final = 5.0
_MAX_CLIENT_ID: Final = 80
"""Leaves room for the number; VerneMQ takes 100 characters."""

_log = get_logger(__name__)


class LinkOptions(msgspec.Struct, frozen=True):
    """Where the publisher pool is, and who we are."""

    host: str
    port: int
    token_file: Path
    name: str
    """Of this process; begins its client ids."""
    window: int
    """Messages that may wait for their acknowledgement."""
    tls: ClientTls | None = None
    """How the publishers are known and who we are; None for plain MQTT."""
    nodes: str = ""
    """Host name that resolves to every ready node of the pool; empty if there is none such."""
    turn: int = 0
    """Which of the nodes is ours: the pod's number."""


class PahoLink:
    """Keeps a session; implements `publishing.Link`."""

    def __init__(self, options: LinkOptions) -> None:
        self.options = options
        self.orphaned: Orphaned | None = None
        """Offered what is not acknowledged when its connection ends."""
        self._failures = 0
        self.was_up = False
        """Whether there ever was a connection."""
        self._session: Session | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        # Two processes of one name, as a container that is restarted while its old connection
        # lingers, would oust each other.
        self._prefix = f"{options.name[:_MAX_CLIENT_ID]}-{secrets.token_hex(4)}"
        self._fault = "not connected yet"

    def publish(self, message: Message, caller: str) -> asyncio.Future[Receipt]:
        """Publish, as `publishing.Link` says."""
        session = self._session
        if session is None:
            raise LinkDownError("no connection to the publisher pool", sent=False)
        return session.publish(message, caller)

    async def room(self) -> None:
        """Return when there is room for another message, or there is no connection."""
        if self._session is not None:
            await self._session.room()

    def why_down(self) -> str | None:
        """Return why nothing can be published; None if it can."""
        if self._session is not None and self._session.alive:
            return None
        return f"no connection to the publisher pool: {self._fault}"

    def waiting(self) -> int:
        """Return how many messages wait for their acknowledgement."""
        return self._session.waiting if self._session is not None else 0

    async def run(self) -> None:
        """Keep a session until cancelled; then wait for its acknowledgements and disconnect."""
        try:
            await again_and_again(self._serve_one)
        finally:
            await self._close()

    async def _close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._retire(session)
        if self._retiring:
            await asyncio.wait(self._retiring)

    async def _serve_one(self) -> None:
        """Connect, and go on from session to session as long as one follows the other."""
        made = await self._connect()
        while made is not None:
            self._session, credential = made
            made = await self._watch(self._session, credential)

    async def _watch(
        self, session: Session, credential: Credential
    ) -> tuple[Session, Credential] | None:
        """Return the next session when it is connected, None when this one ended before."""
        while not session.ended.done():
            pause = max(credential.renew_at - time.time(), _RENEWAL_POLL_SECONDS)
            await asyncio.wait([session.ended], timeout=min(pause, 3600.0))
            if session.ended.done():
                break
            fresh = self._fresh_credential(credential)
            made = None if fresh is None else await self._connect(fresh)
            if made is not None:
                _log.info("session replaced before its token expires")
                self._retire(session)
                return made
        self._session = None
        self._fault = session.ended.result()
        _log.warning("disconnected from the publisher pool", reason=self._fault)
        return None

    def _fresh_credential(self, used: Credential) -> Credential | None:
        if time.time() < used.renew_at:
            return None
        now = read_credential(self.options.token_file)
        return None if now is None or now.is_same(used) else now

    async def _connect(
        self, credential: Credential | None = None
    ) -> tuple[Session, Credential] | None:
        options = self.options
        credential = credential or read_credential(options.token_file)
        if credential is None:
            self._note_failure("own token cannot be read")
            return None
        client_id = f"{self._prefix}-{next(self._numbers)}"
        session = Session(client_id, options.window, self.orphaned)
        try:
            address = await node_address(options.nodes, options.host, options.turn + self._failures)
            await session.connect(
                address, options.port, credential.token, tls=options.tls, name=options.host
            )
        except ConnectError as error:
            self._note_failure(str(error))
            return None
        metrics.CONNECTS.labels("ok").inc()
        self.was_up = True
        _log.info("connected to the publisher pool", client_id=session.client_id)
        return session, credential

    def _note_failure(self, reason: str) -> None:
        self._failures += 1
        metrics.CONNECTS.labels("failed").inc()
        self._fault = reason
        _log.warning("cannot connect to the publisher pool", reason=reason)

    def _retire(self, session: Session) -> None:
        task = asyncio.get_running_loop().create_task(session.retire(ACK_SECONDS))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
