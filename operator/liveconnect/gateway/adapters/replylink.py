"""Hears devices' answers, for ever: one session under one client id, whoever serves it.

The broker keeps it for as long as a request may wait. So an answer that comes while a connection is
made anew, or while this pod is away, arrives afterwards.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Final

from liveconnect.common.logs import get_logger
from liveconnect.gateway.adapters.credential import Credential, read_credential
from liveconnect.gateway.adapters.nodes import node_address
from liveconnect.gateway.adapters.paho import LinkOptions
from liveconnect.gateway.adapters.pause import again_and_again
from liveconnect.gateway.adapters.replysession import HearError, ReplySession
from liveconnect.gateway.adapters.requestfile import RequestFile
from liveconnect.gateway.adapters.session import ConnectError
from liveconnect.gateway.messages.question import LONGEST_TIMEOUT
from liveconnect.gateway.replies import Heard

SESSION_SECONDS: Final = LONGEST_TIMEOUT
"""How long brokers keep answers for us while we are away: no request waits longer."""
SETTLE_SECONDS: Final = 1.0
"""Until every node knows where a subscription is now, about: brokers tell each other."""
_POLL_SECONDS: Final = 5.0
_NOT_YET: Final = "not subscribed yet"

_log = get_logger(__name__)


class ReplyLink:
    """Keeps the session; implements `publishing.Hearing`."""

    def __init__(
        self, options: LinkOptions, topic_filter: str, journal: RequestFile, heard: Heard
    ) -> None:
        """Make it.

        Args:
            options: where the brokers are, and who we are.
            topic_filter: of the answers to this pod.
            journal: where what is heard is written down.
            heard: takes answers.
        """
        self._options = options
        self._filter = topic_filter
        self._journal = journal
        self._heard = heard
        self._client_id = journal.client_id(
            topic_filter, f"{options.name[:60]}-replies-{secrets.token_hex(4)}"
        )
        self._session: ReplySession | None = None
        self._address = ""
        self._replacing = False
        """Whether a connection takes the session over: until then the broker keeps the answers."""
        self._settled_at = 0.0
        """From when on answers arrive, in the time of `time.monotonic`."""
        self._fault = _NOT_YET
        self._failures = 0

    def why_deaf(self) -> str | None:
        """Return why devices' answers would not arrive now; None if they would."""
        if self._replacing:
            return None
        session = self._session
        if session is None or not session.alive or not session.hears:
            return f"answers cannot be received: {self._fault}"
        if time.monotonic() < self._settled_at:
            return "answers cannot be received yet: the brokers learn of the subscription"
        return None

    async def run(self) -> None:
        """Keep hearing until cancelled. The session stays with the broker."""
        try:
            await again_and_again(self._serve_one)
        finally:
            if self._session is not None and self._session.alive:
                self._session.disconnect()

    async def _serve_one(self) -> None:
        """Connect, and go on from connection to connection as long as one follows the other."""
        credential = read_credential(self._options.token_file)
        while credential is not None and await self._connect(credential):
            credential = await self._watch(credential)

    async def _watch(self, used: Credential) -> Credential | None:
        """Return the next token when it is time to connect with it, None when this has ended."""
        session = self._session
        while session is not None and not session.ended.done():
            wait = max(used.renew_at - time.time(), _POLL_SECONDS)
            if not session.hears:
                await self._hear(session)
                wait = wait if session.hears else _POLL_SECONDS
            await asyncio.wait([session.ended], timeout=min(wait, 3600.0))
            if not session.ended.done() and time.time() >= used.renew_at:
                fresh = read_credential(self._options.token_file)
                if fresh is not None and not fresh.is_same(used):
                    return fresh
        if session is not None:
            self._fault = session.ended.result()
            _log.warning("no longer connected for answers", reason=self._fault)
        self._session = None
        return None

    async def _connect(self, credential: Credential) -> bool:
        """Connect, taking the session over from the connection that has it."""
        options, old = self._options, self._session
        session = ReplySession(self._client_id, self._heard, self._journal.settled)
        self._replacing = old is not None and self.why_deaf() is None
        try:
            address = await node_address(options.nodes, options.host, options.turn + self._failures)
            await session.connect(
                address,
                options.port,
                credential.token,
                session_seconds=SESSION_SECONDS,
                tls=options.tls,
                name=options.host,
            )
            is_same = self._replacing and session.session_present and address == self._address
            self._session, self._address = session, address
            await self._hear(session, settled=is_same)
        except ConnectError as error:
            self._failures += 1
            self._fault = str(error)  # the link for publishing says so, too
        finally:
            self._replacing = False
            if old is not None and not old.ended.done() and self._session is not old:
                old.disconnect()
        if session.alive and old is not None:
            _log.info("connection for answers replaced before its token expires")
        return session.alive

    async def _hear(self, session: ReplySession, *, settled: bool = False) -> None:
        try:
            await session.hear(self._filter)
        except HearError as error:
            self._fault = str(error)
            _log.warning("devices' answers cannot be received", reason=self._fault)
        else:
            if not settled:
                self._settled_at = time.monotonic() + SETTLE_SECONDS
            _log.info("devices' answers can be received", filter=self._filter)
