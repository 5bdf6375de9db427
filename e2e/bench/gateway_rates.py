"""Messages per second through HTTP, one by one and in batches, against paho without HTTP."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import replace
from functools import partial

from e2e.bench.cores import measured_core, pinned
from e2e.bench.gateway import PAYLOAD, STATUS, TOPIC, WINDOW, Gateway, gateway, paho
from e2e.bench.rounds import paired
from e2e.bench.row import Measurement, Row
from e2e.bench.wrk import Load, send

_ROUNDS = 5
_SECONDS = 2
_BATCH = 500
_BATCHES_AT_ONCE = 4
_LINES = 20_000


def _load(made: Gateway, qos: int, batch: int) -> Load:
    line = json.dumps({"topic": TOPIC, "payload": STATUS, "qos": qos}) + "\n"
    body = made.folder / "body"
    body.write_text(line * batch)
    if batch == 1:
        return Load(f"{made.url}/v1/publish", made.headers, body, WINDOW, _SECONDS)
    headers = {**made.headers, "Content-Type": "application/x-ndjson"}
    url = f"{made.url}/v1/publish/batch"
    return Load(url, headers, body, _BATCHES_AT_ONCE, _SECONDS, whole=True)


def _rate(made: Gateway, load: Load, qos: int, batch: int) -> float:
    before = made.published(qos)
    sent = send(load, made.folder)
    if made.published(qos) - before < sent.requests * batch:
        raise RuntimeError("more was answered than published")
    return sent.per_second * batch


def _mosquitto_pub(port: int, qos: int) -> float:
    """Return messages per second of `mosquitto_pub -l`, with the window that it has."""
    lines = f"{PAYLOAD}\n".encode() * _LINES
    command = ["mosquitto_pub", "-V", "mqttv5", "-p", str(port), "-q", str(qos), "-t", TOPIC, "-l"]
    began = time.perf_counter()
    subprocess.run(pinned(measured_core(), *command), input=lines, check=True, timeout=120)
    return _LINES / (time.perf_counter() - began)


def _measure(qos: int, batch: int) -> Measurement:
    with gateway() as made:
        load = _load(made, qos, batch)
        port = made.broker_port
        # paho can be driven in two ways; the faster one is the peer.
        way = max(("thread", "loop"), key=lambda way: paho(port, way, qos, 1))
        measured = paired(
            partial(_rate, made, load, qos, batch),
            partial(paho, port, way, qos, _SECONDS),
            rounds=_ROUNDS,
            unit="msgs/s",
        )
        other = _mosquitto_pub(port, qos)
        return replace(measured, note=f"mosquitto_pub -l: {other:,.0f} msgs/s")


def _single(qos: int) -> Row:
    return Row(
        id=f"gateway-single-qos{qos}",
        what=f"QoS {qos}, one message a request, {WINDOW} at once, mosquitto, one core",
        unit="msgs/s",
        peer=f"bare paho loop, window {WINDOW}",
        goal=0.8,
        measure=partial(_measure, qos, 1),
    )


def _batch(qos: int) -> Row:
    return Row(
        id=f"gateway-batch-qos{qos}",
        what=f"QoS {qos}, {_BATCH} messages a request, {_BATCHES_AT_ONCE} at once, mosquitto",
        unit="msgs/s",
        peer=f"bare paho loop, window {WINDOW}",
        goal=1.0,
        measure=partial(_measure, qos, _BATCH),
    )


#: The name that the row of QoS 1 had first: whoever asks for it gets the same measurement.
QOS1 = replace(_single(1), id="gateway-qos1-vs-paho")
ROWS = (QOS1, *(_single(qos) for qos in (0, 1, 2)), *(_batch(qos) for qos in (0, 1, 2)))
