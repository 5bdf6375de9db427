"""Real stores of every topology, each in a folder and on ports of its own."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import redis
import trustme

from tests.integration.webhook.world import eventually, free_port

PASSWORD = "store-password"
MASTER = "mymaster"


def program(name: str) -> str:
    """Where Redis' or Valkey's `server`, `cli`, … is."""
    program = shutil.which(f"redis-{name}") or shutil.which(f"valkey-{name}")
    assert program, f"redis-{name} is needed: apt-get install redis-server redis-sentinel"
    return program


@dataclass
class Server:
    """One server process."""

    folder: Path
    options: list[str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [
                program("server"),
                *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
                *("--save", "", "--logfile", str(self.folder / "log")),
                *("--requirepass", PASSWORD, "--masterauth", PASSWORD),
                *self.options,
            ]
        )

    def client(self) -> Any:
        return redis.Redis(port=self.port, password=PASSWORD, decode_responses=True)

    def answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(10)
            self.process = None


@dataclass
class Sentinels:
    """A master, a replica, and three Sentinels."""

    master: Server
    replica: Server
    ports: list[int]
    processes: list[subprocess.Popen[bytes]]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"redis+sentinel://:{PASSWORD}@{hosts}/{MASTER}/0"

    def master_port(self) -> int:
        client: Any = redis.Redis(port=self.ports[0], decode_responses=True)
        found = client.execute_command("SENTINEL", "get-master-addr-by-name", MASTER)
        return int(found[1])


@contextlib.contextmanager
def sentinels(folder: Path) -> Iterator[Sentinels]:
    master = Server(folder / "master", [])
    replica = Server(folder / "replica", ["--replicaof", "127.0.0.1", str(master.port)])
    found = Sentinels(master, replica, [free_port() for _ in range(3)], [])
    try:
        master.start()
        replica.start()
        eventually(master.answers)
        eventually(lambda: replica.client().info("replication")["master_link_status"] == "up")
        for port in found.ports:
            config = folder / f"sentinel-{port}.conf"
            config.write_text(
                f"port {port}\nbind 127.0.0.1\ndir {folder}\nlogfile {folder}/sentinel-{port}.log\n"
                f"sentinel monitor {MASTER} 127.0.0.1 {master.port} 2\n"
                f"sentinel auth-pass {MASTER} {PASSWORD}\n"
                f"sentinel down-after-milliseconds {MASTER} 1000\n"
                f"sentinel failover-timeout {MASTER} 5000\n"
            )
            command = [program("server"), str(config), "--sentinel"]
            found.processes.append(subprocess.Popen(command))
        eventually(lambda: all(_knows_the_others(port) for port in found.ports), within=30)
        yield found
    finally:
        for process in found.processes:
            process.kill()
            process.wait(10)
        master.end()
        replica.end()


def _knows_the_others(port: int) -> bool:
    try:
        client: Any = redis.Redis(port=port, decode_responses=True)
        state = client.sentinel_master(MASTER)
    except redis.RedisError:
        return False
    return bool(state["num-other-sentinels"] == 2 and state["num-slaves"] == 1)


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[list[Server]]:
    """Three servers that share the slots."""
    options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]
    # Its own port is 10,000 higher than that of its clients.
    ports = [port for port in (free_port() for _ in range(1000)) if port < 55_000][:3]
    servers = [Server(folder / str(port), options, port) for port in ports]
    try:
        for server in servers:
            server.start()
        for server in servers:
            eventually(server.answers)
        hosts = [f"127.0.0.1:{server.port}" for server in servers]
        create = [program("cli"), "-a", PASSWORD, "--cluster", "create", *hosts, "--cluster-yes"]
        subprocess.run(create, check=True, capture_output=True, timeout=60)
        for server in servers:
            eventually(partial(_cluster_is_whole, server), within=30)
        yield servers
    finally:
        for server in servers:
            server.end()


def _cluster_is_whole(server: Server) -> bool:
    client: Any = server.client()
    return bool(client.cluster("INFO")["cluster_state"] == "ok")


@contextlib.contextmanager
def with_tls(folder: Path) -> Iterator[tuple[Server, Path]]:
    """A server that speaks nothing but TLS, and its CA."""
    authority, ca = trustme.CA(), folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    chain, key = folder / "cert.pem", folder / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(str(chain))
    certificate.private_key_pem.write_to_path(str(key))
    port = free_port()
    server = Server(
        folder / "tls",
        [
            *("--tls-port", str(port), "--tls-auth-clients", "no"),
            *("--tls-cert-file", str(chain), "--tls-key-file", str(key)),
            *("--tls-ca-cert-file", str(ca)),
        ],
    )
    try:
        server.start()
        eventually(server.answers)
        yield Server(server.folder, [], port), ca
    finally:
        server.end()
