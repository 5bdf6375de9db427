"""One MQTT connection of the canary: to one node, for one round.

paho writes and reads the packets, on the event loop (ADR 0008); MQTT 5, since VerneMQ resets a
3.1.1 connection for one refusal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from liveconnect.api.operands import CANARY_TOPIC
from liveconnect.common.logs import Redacted
from liveconnect.common.mqttclient import StreamClient

OPEN_SECONDS: Final = 6.0
"""From the first SYN to the SUBACK; VerneMQ gives a hook 5 s."""
_KEEPALIVE_SECONDS: Final = 60
_QOS: Final = 1


class CanaryError(Exception):
    """A node does not let the canary in; the message says why."""


class CanarySession:
    """Subscribed to the canary's topic on one node, and able to publish there."""

    def __init__(self, client_id: str, on_payload: Callable[[bytes], None]) -> None:
        """Prepare it.

        Args:
            client_id: of the node's canary.
            on_payload: called with every message that arrives.
        """
        self._loop = asyncio.get_running_loop()
        self._on_payload = on_payload
        self._open: asyncio.Future[None] = self._loop.create_future()
        self._client = StreamClient(client_id)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect
        self.connected = False
        """Whether the node has answered a CONNECT: it has counted it."""
        self.acknowledged = False
        """Whether the node has taken a message."""
        self.fault: str | None = "not connected"
        """Why nothing can be tried by it; None while it can."""

    async def open(self, address: str, port: int, token: Redacted) -> None:
        """Connect and subscribe.

        Args:
            address: the node's.
            port: of its private listener.
            token: own ServiceAccount token, the MQTT user name.

        Raises:
            CanaryError: the node cannot be reached or refuses.
        """
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await self._loop.create_connection(lambda: self._client.stream, address, port)
                self._client.username_pw_set(token.reveal())
                self._client.connect(address, port, _KEEPALIVE_SECONDS, clean_start=True)
                await self._open
        except TimeoutError:
            raise CanaryError(f"no answer within {OPEN_SECONDS:g} s") from None
        except OSError as error:
            raise CanaryError(error.strerror or type(error).__name__) from None
        self.fault = None

    def publish(self, payload: bytes) -> None:
        """Publish to everybody who is subscribed, on whatever node."""
        self._client.publish(CANARY_TOPIC, payload, _QOS)

    def close(self) -> None:
        """End it as MQTT wants it, if it still lives."""
        if self.fault is None:
            self._client.disconnect()
            self._client.write_all()
        self._client.stream.close()

    def _fail(self, why: str) -> None:
        self.fault = why
        if not self._open.done():
            self._open.set_exception(CanaryError(why))

    # --- paho's callbacks

    def _on_connect(
        self, _c: mqtt.Client, _u: Any, _f: Any, code: ReasonCode, _p: Properties | None
    ) -> None:
        self.connected = True
        if code.is_failure:
            self._fail(f"refused: {code.getName()}")
        else:
            self._client.subscribe(CANARY_TOPIC, _QOS)

    def _on_subscribe(
        self, _c: mqtt.Client, _u: Any, _mid: int, codes: list[ReasonCode], _p: Properties | None
    ) -> None:
        refused = next((code for code in codes if code.is_failure), None)
        if refused is not None:
            self._fail(f"subscription refused: {refused.getName()}")
        elif not self._open.done():
            self._open.set_result(None)

    def _on_publish(
        self, _c: mqtt.Client, _u: Any, _mid: int, code: ReasonCode, _p: Properties | None
    ) -> None:
        if code.is_failure:
            self._fail(f"message refused: {code.getName()}")
        else:
            self.acknowledged = True

    def _on_message(self, _c: mqtt.Client, _u: Any, message: mqtt.MQTTMessage) -> None:
        self._on_payload(bytes(message.payload))

    def _on_disconnect(
        self, _c: mqtt.Client, _u: Any, _f: Any, code: ReasonCode, _p: Properties | None
    ) -> None:
        if self.fault is None or not self._open.done():
            self._fail(f"connection ended: {code.getName()}")
