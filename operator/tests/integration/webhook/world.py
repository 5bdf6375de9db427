"""Everything around the auth service: issuer, API server's keys, Redis, and the process itself."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

from joserfc import jwk, jwt

ISSUER = "https://login.example"
CLUSTER_ISSUER = "https://kubernetes.example"
AUDIENCE = "liveconnect-devices"
CONFIG_TOPICS: list[dict[str, Any]] = [
    {"filter": "orders/{claims.sub}/+/status", "allow": ["subscribe"], "maxQoS": 1},
    {"filter": "devices/{clientId}/#", "allow": ["subscribe", "publish"]},
    {"filter": "notes/{clientId}", "allow": ["publish"], "maxPayloadBytes": 4},
    {"filter": "depots/#", "allow": ["subscribe"], "groups": ["drivers"]},
]
BACKEND = "system:serviceaccount:shop:orders"
READER = "system:serviceaccount:shop:support"
OPERATOR = "system:serviceaccount:liveconnect-system:liveconnect-operator"

T = TypeVar("T")


def eventually(look: Callable[[], T], *, within: float = 10.0) -> T:
    """Return the first true thing that `look` returns."""
    deadline = time.monotonic() + within
    pause = threading.Event()
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s; last: {found!r}")
        pause.wait(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Keys:
    """A signing key and the key set that shows it."""

    def __init__(self, kid: str = "k1", kind: str = "RSA") -> None:
        self.rotate(kid, kind)

    def rotate(self, kid: str, kind: str = "RSA") -> None:
        self.kid = kid
        self.algorithm = {"RSA": "RS256", "EC": "ES256"}[kind]
        self.key: Any = (
            jwk.RSAKey.generate_key(2048, {"kid": kid})
            if kind == "RSA"
            else jwk.ECKey.generate_key("P-256", {"kid": kid})
        )

    def document(self) -> bytes:
        return json.dumps({"keys": [self.key.as_dict(private=False)]}).encode()

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        full = {"alg": self.algorithm, "kid": self.kid, **header}
        return jwt.encode(full, claims, self.key, algorithms=[full["alg"]])


@dataclass
class JwksServer:
    """A real HTTP server of key sets; counts and can fail."""

    documents: dict[str, Callable[[], bytes]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    failing: bool = False
    url: str = ""

    @contextlib.contextmanager
    def running(self) -> Iterator[JwksServer]:
        world = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                world.requests.append((self.path, self.headers.get("Authorization", "")))
                document = world.documents.get(self.path)
                self.send_response(503 if world.failing or document is None else 200)
                self.end_headers()
                if document is not None and not world.failing:
                    self.wfile.write(document())

            def log_message(self, *_: Any) -> None:
                """Stay quiet."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            self.url = f"http://127.0.0.1:{server.server_address[1]}"
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


class Redis:
    """A real redis-server on a port of its own; can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        assert program, "redis-server is needed: apt-get install redis-server"
        self._process = subprocess.Popen(
            [
                program,
                *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)),
                *("--save", "", "--appendonly", "yes", "--logfile", str(self._folder / "log")),
            ]
        )
        eventually(self._answers)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(10)
            self._process = None

    def pause(self) -> None:
        """Let it answer nobody, and keep its connections."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def lose_everything(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Start again with an empty disk."""
        self.stop(number)
        shutil.rmtree(self._folder / "appendonlydir", ignore_errors=True)
        self.start()


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Service:
    """The auth service as a process of its own."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]
    _sent: int = 0

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, body, named, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return Answer(answer.status, answer.read(), dict(answer.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read(), dict(error.headers))

    def hook(
        self,
        hook: str,
        body: dict[str, Any] | bytes,
        *,
        pool: str = "subscriber",
        node: str = "demo-subscriber-0",
        purpose: str = "auth",
    ) -> Answer:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        path = f"/hooks/{purpose}/{pool}/{node}"
        answer = self.request(
            "POST", path, content, vernemq_hook=hook, Content_Type="application/json"
        )
        assert "Cache-Control" not in answer.headers, "VerneMQ would go on by an old answer"
        return answer

    def connect(
        self,
        token: str | None,
        client_id: str = "phone-1",
        *,
        pool: str = "subscriber",
        m5: bool = False,
    ) -> Any:
        hook = "auth_on_register" + ("_m5" if m5 else "")
        answer = self.hook(hook, register_body(token, client_id, m5=m5), pool=pool)
        assert answer.status == 200, answer
        return answer.json

    def presence(self, hook: str, client_id: str, node: str) -> None:
        body: dict[str, Any] = {"mountpoint": "", "client_id": client_id}
        if hook == "on_register":
            body |= {"peer_addr": "127.0.0.1", "peer_port": 1, "username": "x"}
        answer = self.hook(hook, body, node=node, purpose="presence")
        assert answer.json == {"result": "ok"}

    def client(self, client_id: str, token: str) -> Answer:
        path = "/v1/clients/" + urllib.parse.quote(client_id, safe="")
        return self.request("GET", path, Authorization=f"Bearer {token}")

    def logs(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def register_body(token: str | None, client_id: str, *, m5: bool = False) -> dict[str, Any]:
    body: dict[str, Any] = {
        "peer_addr": "127.0.0.1",
        "peer_port": 45927,
        "mountpoint": "",
        "client_id": client_id,
        "username": token,
        "password": None,
    }
    return body | ({"clean_start": True, "properties": {}} if m5 else {"clean_session": True})


@dataclass
class World:
    """All of it."""

    folder: Path
    issuer: Keys
    cluster: Keys
    jwks: JwksServer
    redis: Redis
    service: Service

    def device(self, client_id: str = "phone-1", **claims: Any) -> str:
        return self.issuer.sign(device_claims(client_id, **claims))

    def backend(self, subject: str = BACKEND, **claims: Any) -> str:
        return self.cluster.sign(backend_claims(subject, **claims))


def device_claims(client_id: str = "phone-1", **claims: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "42",
        "client_id": client_id,
        "iat": now,
        "exp": now + 600,
        **claims,
    }


def backend_claims(subject: str = BACKEND, **claims: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": CLUSTER_ISSUER,
        "aud": ["liveconnect"],
        "sub": subject,
        "iat": now,
        "exp": now + 600,
        **claims,
    }


def write_config(
    folder: Path, jwks: JwksServer, redis: Redis, cluster: Keys, **changes: Any
) -> Path:
    token = folder / "token"
    token.write_text(cluster.sign(backend_claims("system:serviceaccount:shop:demo-auth")))
    (folder / "ca.crt").write_bytes(b"")
    (folder / "url").write_text(redis.url)
    config = folder / "config.json"
    content: dict[str, Any] = {
        "cluster": "shop/demo",
        "providers": [
            {
                "issuer": ISSUER,
                "audiences": [AUDIENCE],
                "algorithms": ["RS256", "ES256"],
                "client_id_claim": "client_id",
                "leeway_seconds": 2,
                "jwks_uri": f"{jwks.url}/devices",
            }
        ],
        "topics": CONFIG_TOPICS,
        "publishers": [{"subject": BACKEND, "publish": ["orders/#"]}],
        "readers": [READER],
        "canary": OPERATOR,
        "service_accounts": {
            "jwks_uri": f"{jwks.url}/cluster",
            "token_file": str(token),
            "ca_file": "",
            "audience": "liveconnect",
        },
        "presence_url_file": str(folder / "url"),
    }
    config.write_text(json.dumps({**content, **changes}))
    return config


@contextlib.contextmanager
def running_service(
    folder: Path, config: Path, wait: str = "/readyz", **extra: str
) -> Iterator[Service]:
    """Start the process, with `extra` in its environment; end it as Kubernetes would.

    Args:
        folder: for its log.
        config: its configuration file.
        wait: which path must be answered with 200 before the block begins.
        extra: environment variables.
    """
    port = int(extra.get("LIVECONNECT_PORT", free_port()))
    log = folder / f"log-{time.monotonic_ns()}"
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ},
        "LIVECONNECT_CONFIG_FILE": str(config),
        "LIVECONNECT_HOST": "127.0.0.1",
        "LIVECONNECT_PORT": str(port),
        "LIVECONNECT_LOG_LEVEL": "DEBUG",
        "LIVECONNECT_DRAIN_DELAY_SECONDS": "0.3",
        **extra,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "liveconnect.webhook"],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    service = Service(f"http://127.0.0.1:{port}", log, process)

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return service.request("GET", wait).status == 200
        except OSError:
            return False

    try:
        eventually(ready, within=30)
        yield service
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
