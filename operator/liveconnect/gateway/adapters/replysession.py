"""The connection that devices' answers come over.

Its session outlives connections and this process: while nobody is there the broker keeps the
answers. Each is acknowledged after what it changed is on disk, so that a crash has it sent again.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from liveconnect.gateway.adapters.mqttproperties import reply_of
from liveconnect.gateway.adapters.outboxfile import OutboxFile
from liveconnect.gateway.adapters.session import CONNECT_SECONDS, Connection
from liveconnect.gateway.outbox import OutboxFailedError
from liveconnect.gateway.replies import Heard

_QOS: Final = 1


class HearError(Exception):
    """Answers do not arrive; the message says why."""


class ReplySession(Connection):
    """One connection of the session that hears answers; it publishes nothing."""

    keepalive = 10
    """No acknowledgement is missed here when a broker hangs: only this tells."""

    def __init__(self, client_id: str, heard: Heard, file: OutboxFile) -> None:
        """Prepare it.

        Args:
            client_id: always the same, of this file and filter.
            heard: takes what arrives.
            file: where what is heard is written down.
        """
        super().__init__(client_id)
        self.hears = False
        """Whether the broker has granted the subscription."""
        self._heard = heard
        self._file = file
        self._subscribed: asyncio.Future[str | None] | None = None
        """Done with why the broker refuses; with None if it does not."""
        self._client.manual_ack_set(True)
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe

    async def hear(self, topic_filter: str) -> None:
        """Subscribe to answers, or say again that we are subscribed.

        Raises:
            HearError: the broker refuses, or does not say.
        """
        subscribed = self._subscribed = self._loop.create_future()
        options = SubscribeOptions(qos=_QOS, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        self._client.subscribe(topic_filter, options=options)
        await asyncio.wait(
            (subscribed, self.ended), timeout=CONNECT_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        if not subscribed.done():
            raise HearError("the broker does not answer the subscription")
        if (refusal := subscribed.result()) is not None:
            raise HearError(f"refused: {refusal}")
        self.hears = True

    def _on_subscribe(
        self, _c: mqtt.Client, _u: Any, _m: int, codes: list[ReasonCode], _p: Properties | None
    ) -> None:
        subscribed = self._subscribed
        if subscribed is None or subscribed.done():
            return
        refused = next((code for code in codes if code.is_failure), None)
        subscribed.set_result(None if refused is None else refused.getName())

    def _on_message(self, _c: mqtt.Client, _u: Any, message: mqtt.MQTTMessage) -> None:
        packet_id, qos = message.mid, message.qos
        self._heard(reply_of(message))
        if not qos:
            return

        def acknowledge(failure: OutboxFailedError | None) -> None:
            if failure is not None:
                # It is sent again on the next connection.
                self.abort("answers cannot be written down")
            elif not self.ended.done():
                self._client.ack(packet_id, qos)

        self._file.after_commit(acknowledge)

    def _is_silent(self, now: float) -> bool:  # noqa: ARG002 - nothing waits here
        return False

    def on_received(self, packet_id: int) -> None:
        """Nothing is published here."""

    def on_acknowledged(self, packet_id: int) -> None:
        """Nothing is published here."""

    def on_refused(self, packet_id: int, code: ReasonCode) -> None:
        """Nothing is published here."""
