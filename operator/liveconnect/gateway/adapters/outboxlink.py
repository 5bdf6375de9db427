"""Empties the outbox into the publisher pool, in order, for ever.

In memory is what is under way and a page of what comes next; the rest of a backlog is on disk only.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import deque
from typing import Final

from liveconnect.common.logs import get_logger
from liveconnect.gateway import metrics
from liveconnect.gateway.adapters.credential import Credential, read_credential
from liveconnect.gateway.adapters.nodes import node_address
from liveconnect.gateway.adapters.outboxfile import OutboxFile
from liveconnect.gateway.adapters.outboxsession import ExpiredError, OutboxSession
from liveconnect.gateway.adapters.paho import LinkOptions
from liveconnect.gateway.adapters.pause import again_and_again
from liveconnect.gateway.adapters.session import ACK_SECONDS, SILENT, ConnectError
from liveconnect.gateway.outbox import OutboxFailedError, Parked, Stored
from liveconnect.gateway.publishing import PublishError, Receipt

SESSION_SECONDS: Final = 24 * 3600
"""How long brokers keep the session for us while we are away."""
_PAGE: Final = 200
_POLL_SECONDS: Final = 5.0
_POISON_AFTER: Final = 5
"""Connections that a message may end, alone under way, before it is put aside."""
_PACKET_IDS: Final = 65535

_log = get_logger(__name__)


class OutboxLink:
    """Sends what the outbox holds; tells those who wait."""

    def __init__(self, options: LinkOptions, file: OutboxFile) -> None:
        self._options = options
        self._file = file
        name = file.fact("client-id", f"{options.name[:60]}-outbox-{secrets.token_hex(4)}")
        self._client_id = name
        self._session: OutboxSession | None = None
        self._quiet = False
        self._failures = 0
        self._next: deque[Stored] = deque()
        self._cursor = 0
        self._left_over: list[Stored] = []
        self._packet_ids = file.packet_ids()
        self._last_packet_id = 0
        self._waiters: dict[int, list[asyncio.Future[Receipt]]] = {}
        self._syncs: set[asyncio.Task[None]] = set()
        self._suspect = (0, 0)
        counts = file.counts()
        self.messages = {caller: count for caller, (count, _) in counts.items()}
        """How many messages each caller has in the outbox."""
        self.total = sum(self.messages.values())
        self._complete = not self.total
        self.parked = file.count_parked()

    # --- what callers ask for

    @property
    def prompt(self) -> bool:
        """Whether a message that is added now is sent at once."""
        session = self._session
        return (
            session is not None
            and self._connected
            and self._complete
            and len(self._next) + len(session.under_way) < self._window(session)
        )

    @property
    def _connected(self) -> bool:
        return self._session is not None and self._session.alive and not self._quiet

    @property
    def behind(self) -> bool:
        """Whether there are messages that had to wait: younger ones must not overtake them."""
        return not self._complete or bool(self._next) or bool(self._left_over)

    def add(self, stored: Stored, done: asyncio.Future[Receipt] | None) -> None:
        """Add a message.

        Args:
            stored: its number is the next one.
            done: told what became of it; None if nobody waits for that.
        """
        if self.prompt:
            stored.packet_id = self._take_packet_id() or 0
        self._file.add(stored)
        self.total += 1
        self.messages[stored.caller] = self.messages.get(stored.caller, 0) + 1
        self._file.after_commit(lambda failure: self._added(stored, done, failure))

    def _added(
        self,
        stored: Stored,
        done: asyncio.Future[Receipt] | None,
        failure: OutboxFailedError | None,
    ) -> None:
        if failure is not None:
            self._forget(stored)
            if done is not None and not done.done():
                done.set_exception(failure)
            return
        if done is None:
            pass
        elif self._connected and self._complete:
            self._waiters.setdefault(stored.seq, []).append(done)
        else:
            self._tell_stored([done])
        if self._complete and (stored.packet_id or len(self._next) < _PAGE):
            self._next.append(stored)
            self._cursor = stored.seq
        else:
            self._complete = False
        self._fill()

    def join(self, seq: int) -> asyncio.Future[Receipt]:
        """Return what becomes of a message that was added before."""
        done: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        if seq in self._waiters:
            self._waiters[seq].append(done)
        else:
            self._tell_stored([done])
        return done

    def _tell_stored(self, waiting: list[asyncio.Future[Receipt]]) -> None:
        task = asyncio.get_running_loop().create_task(self._tell_when_synced(waiting))
        self._syncs.add(task)
        task.add_done_callback(self._syncs.discard)

    async def _tell_when_synced(self, waiting: list[asyncio.Future[Receipt]]) -> None:
        failure: OutboxFailedError | None = None
        try:
            await self._file.synced()
        except OutboxFailedError as error:
            failure = error
        for done in waiting:
            if done.done():
                continue
            if failure is None:
                done.set_result(Receipt.STORED)
            else:
                done.set_exception(failure)

    # --- sending

    def _window(self, session: OutboxSession) -> int:
        return 1 if self._suspect[1] > 1 else min(self._options.window, session.receive_maximum)

    def _fill(self) -> None:
        """Send as much as there is room for."""
        session = self._session
        if session is None or not self._connected:
            return
        room = self._window(session) - len(session.under_way)
        batch: list[Stored] = []
        while room > len(batch) and session.writable:
            if not self._next and not self._read_page():
                break
            stored = self._next.popleft()
            if not stored.packet_id:
                stored.packet_id = self._take_packet_id() or 0
                if not stored.packet_id:
                    self._next.appendleft(stored)
                    break
                if stored.message.qos == 2:
                    self._file.assign(stored)
            batch.append(stored)
        if any(one.message.qos == 2 and not one.sent for one in batch):
            self._file.after_commit(lambda failure: self._send(session, batch, failure))
        else:
            self._send(session, batch, None)

    def _send(
        self, session: OutboxSession, batch: list[Stored], failure: OutboxFailedError | None
    ) -> None:
        if failure is not None or not session.alive:
            self._left_over += batch
            if failure is not None:
                session.abort("the outbox cannot be written")
            return
        for stored in batch:
            session.send(stored)

    def _read_page(self) -> bool:
        """Read more from disk, if there is more."""
        if self._complete:
            return False
        page = self._file.page(self._cursor, _PAGE)
        self._next.extend(page)
        if page:
            self._cursor = page[-1].seq
        self._complete = len(page) < _PAGE
        return bool(page)

    def _take_packet_id(self) -> int | None:
        if len(self._packet_ids) >= _PACKET_IDS:
            return None
        number = self._last_packet_id
        while True:
            number = number % _PACKET_IDS + 1
            if number not in self._packet_ids:
                break
        self._last_packet_id = number
        self._packet_ids.add(number)
        return number

    def _forget(self, stored: Stored) -> None:
        self._packet_ids.discard(stored.packet_id)
        self.total -= 1
        left = self.messages.get(stored.caller, 1) - 1
        if left:
            self.messages[stored.caller] = left
        else:
            self.messages.pop(stored.caller, None)

    def _settled(self, stored: Stored, error: PublishError | None) -> None:
        self._forget(stored)
        self._suspect = (0, 0)
        waiting = self._waiters.pop(stored.seq, [])
        if error is None or waiting or isinstance(error, ExpiredError):
            self._file.remove(stored.seq)
        else:
            self._park(stored, str(error))
        if stored.keyed:
            outcome = Receipt.ACKNOWLEDGED.value if error is None else str(error)
            self._file.conclude(stored.seq, outcome)
        for done in waiting:
            if done.done():
                continue
            if error is None:
                done.set_result(Receipt.ACKNOWLEDGED)
            else:
                done.set_exception(error)
        if error is None:
            metrics.delivered_from_outbox(stored.message.qos)
        self._fill()

    def _park(self, stored: Stored, reason: str) -> None:
        _log.warning("a message was put aside", seq=stored.seq, caller=stored.caller, reason=reason)
        self.parked += 1
        self._file.park(Parked(stored.seq, stored.caller, stored.message, reason, time.time()))

    # --- life

    async def run(self) -> None:
        """Keep sending until cancelled; then wait for what is under way."""
        try:
            await again_and_again(self._serve_one)
        finally:
            session, self._quiet = self._session, True
            if session is not None and session.alive:
                await self._settle_down(session)
                session.disconnect()
            if self._syncs:
                await asyncio.wait(self._syncs)

    async def _serve_one(self) -> None:
        """Connect, send, and return when the connection has ended."""
        credential = read_credential(self._options.token_file)
        if credential is None:
            return
        session = OutboxSession(self._client_id, self._file, self._settled)
        options = self._options
        try:
            # Not the node of those who wait: two of them have work.
            turn = options.turn + 1 + self._failures
            await session.connect(
                await node_address(options.nodes, options.host, turn),
                options.port,
                credential.token,
                session_seconds=SESSION_SECONDS,
                tls=options.tls,
                name=options.host,
            )
        except ConnectError:
            self._failures += 1
            return  # the link for waiting callers says so already
        _log.info("outbox connected", client_id=self._client_id, messages=self.total)
        left_over, self._left_over = sorted(self._left_over, key=lambda one: one.seq), []
        self._session, self._quiet = session, False
        room = self._window(session)
        self._next.extendleft(reversed(left_over[room:]))
        session.resume(left_over[:room])
        self._fill()
        try:
            await self._watch(session, credential)
        finally:
            self._session = None
            self._take_back(session)

    async def _watch(self, session: OutboxSession, credential: Credential) -> None:
        while not session.ended.done():
            wait = max(credential.renew_at - time.time(), _POLL_SECONDS)
            await asyncio.wait([session.ended], timeout=min(wait, 3600.0))
            if session.ended.done() or time.time() < credential.renew_at:
                continue
            fresh = read_credential(self._options.token_file)
            if fresh is not None and not fresh.is_same(credential):
                # The session goes on under the same client id: one connection at a time.
                self._quiet = True
                await self._settle_down(session)
                session.disconnect()
                return

    async def _settle_down(self, session: OutboxSession) -> None:
        """Wait until nothing is under way."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ACK_SECONDS):
                while session.under_way and not session.ended.done():  # noqa: ASYNC110 - rare
                    await asyncio.sleep(0.02)

    def _take_back(self, session: OutboxSession) -> None:
        """Keep what was under way for the next connection; nobody need wait for that."""
        left = sorted(session.under_way.values(), key=lambda one: one.seq)
        reason = session.ended.result() if session.ended.done() else "cancelled"
        if left and reason not in {"disconnected", SILENT}:
            self._suspect_first(left, reason)
        self._left_over += left
        waiting = [done for waiters in self._waiters.values() for done in waiters]
        self._waiters.clear()
        if waiting:
            self._tell_stored(waiting)

    def _suspect_first(self, left: list[Stored], reason: str) -> None:
        """Put the first message aside if it ends one connection after the other, alone."""
        seq, times = self._suspect
        times = times + 1 if seq == left[0].seq else 1
        self._suspect = (left[0].seq, times)
        if times > _POISON_AFTER and len(left) == 1:
            stored = left.pop()
            self._forget(stored)
            self._suspect = (0, 0)
            detail = f"{times} connections ended while it was the only one under way: {reason}"
            self._park(stored, detail)
            if stored.keyed:
                self._file.conclude(stored.seq, detail)
