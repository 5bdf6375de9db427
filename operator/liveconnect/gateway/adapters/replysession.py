"""The connection that devices' answers come over.

Its session outlives connections and this process: while nobody is there the broker keeps the
answers. Each is acknowledged after what it changed is on disk, so that a crash has it sent again;
one that cannot be read is acknowledged, too, or it would be sent again for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.exception import MalformedPacket
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from liveconnect.gateway.adapters.client import Acknowledgements, Client
from liveconnect.gateway.adapters.mqttproperties import reply_of
from liveconnect.gateway.adapters.session import CONNECT_SECONDS, Connection
from liveconnect.gateway.outbox import OutboxFailedError
from liveconnect.gateway.replies import Heard, Reply

_QOS: Final = 1
_UNREADABLE: Final = Reply("", b"")

Settled = Callable[[], Awaitable[None]]
"""Returns when what was heard so far is on disk; raises OutboxFailedError if it will not be."""


class HearError(Exception):
    """Answers do not arrive; the message says why."""


class _Hearing(Client):
    """paho's client, which a message cannot end: brokers forward properties that paho refuses."""

    def __init__(
        self, client_id: str, acknowledgements: Acknowledgements, skip: Callable[[int, int], None]
    ) -> None:
        """Make it.

        Args:
            client_id: the MQTT client id.
            acknowledgements: told of them.
            skip: told packet id and QoS of what cannot be read.
        """
        super().__init__(client_id, acknowledgements)
        self._skip = skip

    def _handle_publish(self) -> MQTTErrorCode:
        try:
            return super()._handle_publish()
        except MalformedPacket:
            qos, packet = self._in_packet["command"] >> 1 & 3, self._in_packet["packet"]
            place = 2 + int.from_bytes(packet[:2], "big")
            if qos and len(packet) < place + 2:
                raise
            self._skip(int.from_bytes(packet[place : place + 2], "big"), qos)
            return MQTTErrorCode.MQTT_ERR_SUCCESS


class ReplySession(Connection):
    """One connection of the session that hears answers; it publishes nothing."""

    keepalive = 10
    """No acknowledgement is missed here when a broker hangs: only this tells."""

    def __init__(self, client_id: str, heard: Heard, settled: Settled) -> None:
        """Prepare it.

        Args:
            client_id: always the same, of this file and filter.
            heard: takes what arrives.
            settled: waits until that is written down.
        """
        super().__init__(client_id)
        self.hears = False
        """Whether the broker has granted the subscription."""
        self._heard = heard
        self._settled = settled
        self._acknowledging: set[asyncio.Task[None]] = set()
        self._subscribed: asyncio.Future[str | None] | None = None
        """Done with why the broker refuses; with None if it does not."""
        self._client.manual_ack_set(True)
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe

    def _make_client(self) -> Client:
        return _Hearing(self.client_id, self, lambda mid, qos: self._take(_UNREADABLE, mid, qos))

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
        self._take(reply_of(message), message.mid, message.qos)

    def _take(self, reply: Reply, packet_id: int, qos: int) -> None:
        self._heard(reply)
        if qos:
            task = self._loop.create_task(self._acknowledge(packet_id, qos))
            self._acknowledging.add(task)
            task.add_done_callback(self._acknowledging.discard)

    async def _acknowledge(self, packet_id: int, qos: int) -> None:
        try:
            await self._settled()
        except OutboxFailedError:
            # It is sent again on the next connection.
            self.abort("answers cannot be written down")
        if not self.ended.done():
            self._client.ack(packet_id, qos)

    def _is_silent(self, now: float) -> bool:  # noqa: ARG002 - nothing waits here
        return False

    def on_received(self, packet_id: int) -> None:
        """Nothing is published here."""

    def on_acknowledged(self, packet_id: int) -> None:
        """Nothing is published here."""

    def on_refused(self, packet_id: int, code: ReasonCode) -> None:
        """Nothing is published here."""
