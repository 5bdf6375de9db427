"""`gateway-accept-to-device-ms`: from the request to the device, at a rate that leaves room."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from functools import partial
from statistics import quantiles

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from e2e.bench.gateway import TOPIC, Gateway, gateway
from e2e.bench.row import Measurement, Row
from e2e.kit.eventually import eventually

_MESSAGES = 2000
_PER_SECOND = 400


class _Device:
    """Receives, and notes when."""

    def __init__(self, port: int) -> None:
        self.milliseconds: list[float] = []
        subscribed = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.on_message = self._note
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe(TOPIC, 1)
        if not subscribed.wait(10):
            raise RuntimeError("the device cannot subscribe")

    def _note(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        self.milliseconds.append((time.perf_counter_ns() - int(message.payload)) / 1e6)

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def _paced(port: int, publish: Callable[[str], None]) -> list[float]:
    """Publish the time itself, at a steady rate; return how long each message took (ms)."""
    device = _Device(port)
    begin = time.perf_counter()
    pause = threading.Event()
    for number in range(_MESSAGES):
        pause.wait(max(0.0, begin + number / _PER_SECOND - time.perf_counter()))
        publish(str(time.perf_counter_ns()))
    eventually(lambda: len(device.milliseconds) == _MESSAGES, within=10, what="all messages")
    device.stop()
    return device.milliseconds


def _by_http(made: Gateway) -> Callable[[str], None]:
    connection = http.client.HTTPConnection(made.url.removeprefix("http://"), timeout=10)

    def publish(payload: str) -> None:
        body = f'{{"topic":"{TOPIC}","payload":"{payload}","qos":1}}'
        connection.request("POST", "/v1/publish", body, made.headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"answered with {answer.status}")

    return publish


def _by_paho(port: int) -> Callable[[str], None]:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()

    def publish(payload: str) -> None:
        client.publish(TOPIC, payload, 1).wait_for_publish(10)

    return publish


def _p50_p99(milliseconds: list[float]) -> tuple[float, float]:
    cuts = quantiles(milliseconds, n=100)
    return cuts[49], cuts[98]


def _measure() -> Measurement:
    with gateway() as made:
        measure = partial(_paced, made.broker_port)
        peer = _p50_p99(measure(_by_paho(made.broker_port)))
        ours = _p50_p99(measure(_by_http(made)))
    note = f"p99 {ours[1]:.2f} ms, paho's {peer[1]:.2f} ms"
    return Measurement(ours[0], peer[0], note)


ROW = Row(
    id="gateway-accept-to-device-ms",
    what=f"p50 from the request to the device, QoS 1, {_PER_SECOND} messages/s, mosquitto",
    unit="ms",
    peer="paho publishing the same",
    goal=3.0,
    measure=_measure,
    less_is_better=True,
)
