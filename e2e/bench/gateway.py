"""The gateway with what it needs: backends' keys, a broker, and a core of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from e2e.bench.backend import BACKEND, Backends
from e2e.bench.cores import measured_core, other_core, pinned
from e2e.bench.processes import answers, counter, free_port, listens, running
from liveconnect.api.operands import GatewayConfig, Publisher

WINDOW = 64
"""Messages that wait for their acknowledgement, on both sides."""
TOPIC = "orders/42/7/status"
STATUS = {"order": "20260731-7", "status": "on its way", "courier": "Budi", "minutes": 12}
PAYLOAD = json.dumps(STATUS, separators=(",", ":"))
_PAHO_LOOP = Path(__file__).parent / "peers" / "paholoop.py"
_SBIN = "/usr/sbin:/usr/local/sbin"


@contextlib.contextmanager
def broker(folder: Path, port: int) -> Iterator[None]:
    """Run mosquitto, which is fast enough not to be what is measured."""
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
        yield


@dataclass(frozen=True)
class Gateway:
    """A gateway that runs."""

    url: str
    process: subprocess.Popen[bytes]
    broker_port: int
    folder: Path
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """Of a request with a JSON body."""
        return {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}

    def published(self, qos: int) -> float:
        """Return how many messages it says were acknowledged or sent."""
        name, url = "liveconnect_gateway_publishes_total", f"{self.url}/metrics"
        return counter(url, name, 'outcome="ok"', f'qos="{qos}"')

    def post(self, path: str, body: bytes, content_type: str) -> list[str]:
        """Send a request; return the answer's lines.

        Raises:
            RuntimeError: it was refused.
        """
        headers = {**self.headers, "Content-Type": content_type}
        request = urllib.request.Request(f"{self.url}{path}", body, headers)  # noqa: S310 - ours
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - ours
            return str(answer.read().decode()).splitlines()

    def linked(self) -> bool:
        """Return whether it has a connection to the broker."""
        return counter(f"{self.url}/metrics", "liveconnect_gateway_link_up") == 1

    def backlog(self) -> float:
        """Return how many messages its outbox holds."""
        return counter(f"{self.url}/metrics", "liveconnect_gateway_outbox_messages")

    def memory(self) -> float:
        """Return its resident memory in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024


@contextlib.contextmanager
def gateway(broker_port: int | None = None) -> Iterator[Gateway]:
    """Run a gateway and its broker.

    Args:
        broker_port: of a broker that somebody else runs; it need not run yet.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        backends = stack.enter_context(Backends.serving(folder))
        port = broker_port or free_port()
        if broker_port is None:
            stack.enter_context(broker(folder, port))
        config = folder / "gateway.json"
        config.write_text(
            GatewayConfig(
                cluster="bench/bench",
                broker_host="127.0.0.1",
                broker_port=port,
                token_file=str(backends.own_token_file),
                outbox_file=str(folder / "outbox.db"),
                callers=[Publisher(subject=BACKEND, publish=["orders/#", "clients/+/inbox"])],
                service_accounts=backends.verification,
            ).model_dump_json()
        )
        http_port = free_port()
        url = f"http://127.0.0.1:{http_port}"
        environment = {
            **os.environ,
            "LIVECONNECT_CONFIG_FILE": str(config),
            "LIVECONNECT_HOST": "127.0.0.1",
            "LIVECONNECT_PORT": str(http_port),
            "LIVECONNECT_DRAIN_DELAY_SECONDS": "0",
        }
        command = pinned(measured_core(), sys.executable, "-m", "liveconnect.gateway")
        path = "readyz" if broker_port is None else "healthz"
        process = stack.enter_context(
            running(command, lambda: answers(f"{url}/{path}"), folder / "gateway.log", environment)
        )
        yield Gateway(url, process, port, folder, backends.token())


def paho(port: int, way: str, qos: int, seconds: float, window: int = WINDOW) -> float:
    """Return messages per second of a bare paho loop.

    Args:
        port: the broker's.
        way: `thread` or `loop`.
        qos: of the messages.
        seconds: how long.
        window: messages that may wait.
    """
    command = pinned(
        measured_core(), sys.executable, str(_PAHO_LOOP),
        way, str(port), str(window), str(seconds), str(qos), TOPIC, PAYLOAD,
    )  # fmt: skip
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
