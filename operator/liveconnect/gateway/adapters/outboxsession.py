"""The connection that the outbox is emptied over.

Its session outlives connections and this process: same client id, packet ids on disk. A message of
QoS 2 is written down with its packet id before its PUBLISH leaves and as released before its PUBREL
does, so whatever is cut where, it is taken up there and arrives once (MQTT 5, 4.3.3 and 4.4).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from paho.mqtt.reasoncodes import ReasonCode

from liveconnect.gateway.adapters.outboxfile import OutboxFile
from liveconnect.gateway.adapters.session import ACK_SECONDS, Connection
from liveconnect.gateway.outbox import OutboxFailedError, Stored
from liveconnect.gateway.publishing import NotTakenError, PublishError, RefusedError

_PACKET_ID_IN_USE: Final = 0x91
_PACKET_ID_NOT_FOUND: Final = 0x92
_QUOTA_EXCEEDED: Final = 0x97

Settled = Callable[[Stored, PublishError | None], None]
"""Told of each message that is done with; None if the broker has taken it."""


class ExpiredError(PublishError):
    """The message waited longer than it was worth."""


class OutboxSession(Connection):
    """One connection of the outbox's session."""

    def __init__(self, client_id: str, file: OutboxFile, settled: Settled) -> None:
        """Prepare it.

        Args:
            client_id: of this outbox, always the same.
            file: where it is written down.
            settled: told of each message that is done with.
        """
        super().__init__(client_id)
        self._file = file
        self._settled = settled
        self.under_way: dict[int, Stored] = {}
        """By packet id, in the order of sending."""

    @property
    def writable(self) -> bool:
        """Whether the broker keeps up with what it is sent."""
        return self._stream.writable

    @property
    def receive_maximum(self) -> int:
        """How many messages the broker lets wait."""
        return self._limits.receive_maximum

    def resume(self, messages: Iterable[Stored]) -> None:
        """Take up what was under way when the last connection ended, in its order."""
        for stored in messages:
            if stored.released and not self.session_present:
                # It had taken the message, and forgot the rest of the handshake with its session.
                self._settle(stored, None)
            else:
                stored.sent = stored.sent and self.session_present
                self.send(stored)

    def send(self, stored: Stored) -> None:
        """Send a message under its packet id."""
        stored.deadline = time.monotonic() + ACK_SECONDS
        if stored.released:
            self.under_way[stored.packet_id] = stored
            self._client.release(stored.packet_id)
            return
        message = stored.at(time.time())
        try:
            if message is None:
                raise ExpiredError("the message expired before it could be published")  # noqa: TRY301 - settled as the next
            self._limits.check(message)
        except (ExpiredError, NotTakenError) as error:
            self._settle(stored, error)
            return
        self.under_way[stored.packet_id] = stored
        self._client.send(message, stored.packet_id, again=stored.sent)
        stored.sent = True

    def _is_silent(self, now: float) -> bool:
        first = next(iter(self.under_way.values()), None)
        return first is not None and now > first.deadline

    def on_received(self, packet_id: int) -> None:
        """Write down that the broker has the message, then let it go."""
        stored = self.under_way.get(packet_id)
        if stored is None or stored.message.qos != 2:
            return
        if not stored.released:
            self._file.release(stored)

        def go(failure: OutboxFailedError | None) -> None:
            if failure is not None:
                self.abort("the outbox cannot be written")
                return
            stored.released = True
            if self.under_way.get(packet_id) is stored:
                self._client.release(packet_id)

        self._file.after_commit(go)

    def on_acknowledged(self, packet_id: int) -> None:
        """Settle the message."""
        stored = self.under_way.pop(packet_id, None)
        if stored is not None:
            self._settle(stored, None)

    def on_refused(self, packet_id: int, code: ReasonCode) -> None:
        """Settle the message, unless the refusal means that the broker has it."""
        stored = self.under_way.get(packet_id)
        if stored is None:
            return
        if code.value == _PACKET_ID_IN_USE and stored.message.qos == 2:
            self.on_received(packet_id)
        elif code.value == _PACKET_ID_NOT_FOUND and stored.released:
            self.on_acknowledged(packet_id)
        elif code.value == _QUOTA_EXCEEDED:
            self.abort(code.getName())
        else:
            del self.under_way[packet_id]
            self._settle(stored, RefusedError(code.getName(), code.value))

    def _settle(self, stored: Stored, error: PublishError | None) -> None:
        self._settled(stored, error)
