"""Everything around the gateway: the API server's keys, the broker, and the process itself."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.gateway.broker import Broker
from tests.integration.gateway.presence import PresenceServer
from tests.integration.webhook.world import (
    BACKEND,
    Answer,
    JwksServer,
    Keys,
    backend_claims,
    eventually,
    free_port,
)

OTHER = "system:serviceaccount:shop:invoices"
SLOW = "system:serviceaccount:shop:slow"
OWN = "system:serviceaccount:shop:demo-gateway"
MAX_PAYLOAD = 4096
"""Of a message, if it had neither topic nor properties."""
WINDOW = 8
MAX_REPLY = 2048
MAX_PENDING = 20
POD = "demo-gateway-5d4f-x2x"


@dataclass
class Gateway:
    """The gateway as a process of its own."""

    port: int
    log: Path
    process: subprocess.Popen[bytes]

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), dict(answer.getheaders()))
        finally:
            connection.close()

    def post(self, body: bytes | dict[str, Any], token: str, **headers: str) -> Answer:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"Content_Type": "application/json", "Authorization": f"Bearer {token}", **headers}
        return self.request("POST", "/v1/publish", content, **named)

    def send(self, path: str, body: bytes, token: str, content_type: str, **headers: str) -> Answer:
        named = {"Content_Type": content_type, "Authorization": f"Bearer {token}", **headers}
        return self.request("POST", path, body, **named)

    def ready(self) -> bool:
        try:
            return self.request("GET", "/readyz").status == 200
        except OSError:
            return False

    def linked(self) -> bool:
        """Return whether it has a connection to the publisher pool."""
        metrics = self.request("GET", "/metrics").body.decode()
        return "liveconnect_gateway_link_up 1.0" in metrics

    def hearing(self) -> bool:
        """Return whether devices' answers can be received."""
        metrics = self.request("GET", "/metrics").body.decode()
        return "liveconnect_gateway_hearing 1.0" in metrics

    def ready_pods(self) -> int:
        """Return how many pods share the quotas, as this one sees them."""
        metrics = self.request("GET", "/metrics").body.decode().splitlines()
        (line,) = [line for line in metrics if line.startswith("liveconnect_gateway_ready_pods ")]
        return int(float(line.split()[1]))

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Let it answer nobody, as one whose machine hangs, while the block lasts."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def logs(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@dataclass
class World:
    """All of it."""

    folder: Path
    cluster: Keys
    jwks: JwksServer
    broker: Broker
    gateway: Gateway
    presence: PresenceServer = field(default_factory=PresenceServer)

    def token(self, subject: str = BACKEND, **claims: Any) -> str:
        return self.cluster.sign(backend_claims(subject, **claims))

    def own_token(self, **claims: Any) -> None:
        """Write the gateway's own token anew, as the kubelet does."""
        write_token(self.folder, self.cluster, **claims)


def write_token(folder: Path, cluster: Keys, **claims: Any) -> Path:
    fresh, token = folder / "token.new", folder / "token"
    fresh.write_text(cluster.sign(backend_claims(OWN, **claims)))
    fresh.replace(token)
    return token


def write_config(
    folder: Path,
    jwks: JwksServer,
    port: int,
    cluster: Keys,
    presence_url: str = "http://127.0.0.1:1",
    bounds: dict[str, Any] | None = None,
) -> Path:
    token = write_token(folder, cluster)
    (folder / "ca.crt").write_bytes(b"")
    config = folder / "config.json"
    content = {
        "cluster": "shop/demo",
        "broker_host": "127.0.0.1",
        "broker_port": port,
        "token_file": str(token),
        "presence_url": presence_url,
        "outbox_file": str(folder / "outbox.db"),
        "callers": [
            {
                "subject": BACKEND,
                "publish": [
                    "orders/#",
                    "devices/+/commands",
                    "clients/+/inbox",
                    "groups/g/inbox",
                    "clients/+/requests/#",
                ],
            },
            {"subject": OTHER, "publish": ["invoices/+"]},
            {"subject": SLOW, "publish": ["slow/+"], "messages_per_second": 2},
        ],
        "service_accounts": {
            "jwks_uri": f"{jwks.url}/cluster",
            "token_file": str(token),
            "ca_file": "",
            "audience": "liveconnect",
        },
        "requests": {"max_reply_bytes": MAX_REPLY, "max_pending": MAX_PENDING},
        "max_inflight": WINDOW,
        "max_message_bytes": MAX_PAYLOAD,
        **(bounds or {}),
    }
    config.write_text(json.dumps(content))
    return config


@contextlib.contextmanager
def running_gateway(
    folder: Path, config: Path, *, wait: bool = True, port: int = 0, pod: str = POD
) -> Iterator[Gateway]:
    """Start the process, wait until it is ready, and end it as Kubernetes would."""
    port, log = port or free_port(), folder / f"gateway-{time.monotonic_ns()}.log"
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ},
        "LIVECONNECT_CONFIG_FILE": str(config),
        "LIVECONNECT_HOST": "127.0.0.1",
        "LIVECONNECT_PORT": str(port),
        "LIVECONNECT_LOG_LEVEL": "DEBUG",
        "LIVECONNECT_DRAIN_DELAY_SECONDS": "0.2",
        "POD_NAME": pod,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "liveconnect.gateway"],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    gateway = Gateway(port, log, process)

    def up() -> bool:
        assert process.poll() is None, log.read_text()
        return not wait or gateway.ready()

    try:
        eventually(up, within=30)
        yield gateway
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(15)
