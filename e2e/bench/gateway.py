"""`gateway-qos1-vs-paho`: messages through HTTP against messages that paho sends at once."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from e2e.bench.backend import BACKEND, Backends
from e2e.bench.cores import measured_core, other_core, pinned
from e2e.bench.processes import answers, counter, free_port, listens, running
from e2e.bench.rounds import paired
from e2e.bench.row import Measurement, Row
from e2e.bench.wrk import Load, send
from liveconnect.api.operands import GatewayConfig, Publisher

WINDOW = 64
"""Messages that wait for their PUBACK, on both sides."""
_ROUNDS = 7
_SECONDS = 3
_TOPIC = "orders/42/7/status"
_STATUS = {"order": "20260731-7", "status": "on its way", "courier": "Budi", "minutes": 12}
_PAYLOAD = json.dumps(_STATUS, separators=(",", ":"))
_PAHO_LOOP = Path(__file__).parent / "peers" / "paholoop.py"
_ACKNOWLEDGED = "liveconnect_gateway_publishes_total"
_SBIN = "/usr/sbin:/usr/local/sbin"


@contextlib.contextmanager
def _broker(folder: Path) -> Iterator[int]:
    """Run mosquitto, which is fast enough not to be what is measured."""
    port = free_port()
    configuration = folder / "mosquitto.conf"
    configuration.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 0\n"
        "max_queued_messages 0\nlog_type error\n"
    )
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:{_SBIN}")
    if program is None:
        raise RuntimeError("mosquitto is needed: apt-get install mosquitto")
    command = pinned(other_core(), program, "-c", str(configuration))
    with running(command, lambda: listens(port), folder / "mosquitto.log"):
        yield port


@contextlib.contextmanager
def _gateway(folder: Path, backends: Backends, broker_port: int) -> Iterator[str]:
    """Run the gateway on a core of its own; yield its URL."""
    config = folder / "gateway.json"
    config.write_text(
        GatewayConfig(
            cluster="bench/bench",
            broker_host="127.0.0.1",
            broker_port=broker_port,
            token_file=str(backends.own_token_file),
            presence_url="http://127.0.0.1:1",
            callers=[Publisher(subject=BACKEND, publish=["orders/#"])],
            service_accounts=backends.verification,
        ).model_dump_json()
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "LIVECONNECT_CONFIG_FILE": str(config),
        "LIVECONNECT_HOST": "127.0.0.1",
        "LIVECONNECT_PORT": str(port),
        "LIVECONNECT_DRAIN_DELAY_SECONDS": "0",
    }
    command = pinned(measured_core(), sys.executable, "-m", "liveconnect.gateway")
    log = folder / "gateway.log"
    with running(command, lambda: answers(f"{url}/readyz"), log, environment):
        yield url


def _paho(port: int, way: str) -> float:
    command = pinned(
        measured_core(), sys.executable, str(_PAHO_LOOP),
        way, str(port), str(WINDOW), str(_SECONDS), _TOPIC, _PAYLOAD,
    )  # fmt: skip
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _measure() -> Measurement:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        backends = stack.enter_context(Backends.serving(folder))
        broker = stack.enter_context(_broker(folder))
        url = stack.enter_context(_gateway(folder, backends, broker))
        body = folder / "body"
        body.write_text(json.dumps({"topic": _TOPIC, "payload": _STATUS, "qos": 1}) + "\n")
        headers = {
            "Authorization": f"Bearer {backends.token()}",
            "Content-Type": "application/json",
        }
        load = Load(f"{url}/v1/publish", headers, body, WINDOW, _SECONDS)

        def acknowledged() -> float:
            return counter(f"{url}/metrics", _ACKNOWLEDGED, 'outcome="ok"', 'qos="1"')

        def ours() -> float:
            before = acknowledged()
            sent = send(load, folder)
            if acknowledged() - before < sent.requests:
                raise RuntimeError("more was answered than acknowledged")
            return sent.per_second

        # paho can be driven in two ways; the faster one is the peer.
        way = max(("thread", "loop"), key=lambda way: _paho(broker, way))
        return paired(ours, lambda: _paho(broker, way), rounds=_ROUNDS, unit="msgs/s")


ROW = Row(
    id="gateway-qos1-vs-paho",
    what=f"QoS 1 publishes through HTTP, acknowledged by mosquitto, window {WINDOW}, one core",
    unit="msgs/s",
    peer="bare paho loop",
    goal=0.8,
    measure=_measure,
)
