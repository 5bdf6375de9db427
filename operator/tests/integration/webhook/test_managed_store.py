"""The managed store's TLS as it is rendered: a real server, its probe, the auth service."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from liveconnect.controller.adapters.placeholder import make_server_pair
from liveconnect.controller.model.tls import TlsWays
from liveconnect.controller.planner.service_certificates import split
from liveconnect.controller.rendering.configuration import store_config
from liveconnect.controller.rendering.engine import render_text
from tests.integration.webhook.stores import program
from tests.integration.webhook.world import (
    READER,
    JwksServer,
    Keys,
    Redis,
    World,
    eventually,
    free_port,
    running_service,
    write_config,
)

_ONLY_TLS = TlsWays(asked=True, plain=False)
_BOTH = TlsWays(asked=True, plain=True)
_PASSWORD = "secret"


@dataclass
class Store:
    """A store that runs with the rendered configuration, on ports of its own."""

    folder: Path
    ways: TlsWays
    port: int
    tls_port: int

    def __post_init__(self) -> None:
        for name, text in split(make_server_pair("localhost", datetime.now(UTC))).items():
            (self.folder / name).write_text(text)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        text = store_config(self.ways, tls=True) + f"requirepass {_PASSWORD}\n"
        text = text.replace("port 6379", f"port {self.port}").replace("6380", str(self.tls_port))
        text = text.replace("/etc/liveconnect/tls", str(self.folder))
        (self.folder / "conf").write_text(text.replace("dir /data", f"dir {self.folder}"))
        with (self.folder / "log").open("w") as log:
            server = subprocess.Popen([program("server"), str(self.folder / "conf")], stdout=log)
            try:
                yield
            finally:
                server.terminate()
                server.wait(10)

    def probe(self) -> bool:
        """What the kubelet asks."""
        script = render_text("presence-probe.sh").replace("6380", str(self.tls_port))
        ran = subprocess.run(["sh", "-c", script], capture_output=True, check=False)
        return ran.returncode == 0

    def answers_plainly(self, port: int) -> bool:
        asked = [program("cli"), "-p", str(port), "ping"]
        return "NOAUTH" in subprocess.run(asked, capture_output=True, text=True, check=False).stdout

    def log(self) -> str:
        return (self.folder / "log").read_text()


def store(folder: Path, ways: TlsWays) -> Store:
    folder.mkdir()
    return Store(folder, ways, free_port(), free_port())


def test_it_answers_probes_by_tls_and_nobody_without(tmp_path: Path) -> None:
    made = store(tmp_path / "store", _ONLY_TLS)
    assert not made.probe()
    with made.running():
        eventually(made.probe)
        assert not made.answers_plainly(made.port)
        assert "Error accepting" not in made.log()
        assert not made.answers_plainly(made.tls_port)
    assert not made.probe()


def test_beside_tls_the_plain_way_stays_until_nobody_needs_it(tmp_path: Path) -> None:
    made = store(tmp_path / "store", _BOTH)
    with made.running():
        eventually(made.probe)
        assert made.answers_plainly(made.port)


@contextlib.contextmanager
def world(
    tmp_path: Path, made: Store, url: str, ca: Path, wait: str = "/readyz"
) -> Iterator[World]:
    """An auth service whose presence is in this store."""
    issuer, cluster, unused = Keys("device-1"), Keys("cluster-1"), Redis(tmp_path)
    jwks = JwksServer({"/devices": issuer.document, "/cluster": cluster.document})
    with jwks.running(), made.running():
        eventually(made.probe)
        presence = {"store_ca_file": str(ca)}
        config = write_config(tmp_path, jwks, unused, cluster, presence=presence)
        (tmp_path / "url").write_text(url)
        with running_service(tmp_path, config, wait) as service:
            yield World(tmp_path, issuer, cluster, jwks, unused, service)


def test_the_auth_service_knows_it_by_its_very_certificate(tmp_path: Path) -> None:
    made = store(tmp_path / "store", _ONLY_TLS)
    url = f"rediss://:{_PASSWORD}@localhost:{made.tls_port}/0"
    with world(tmp_path, made, url, made.folder / "tls.crt") as one:
        one.service.presence("on_register", "phone-1", "demo-subscriber-0")
        token = one.backend(READER)
        eventually(lambda: one.service.client("phone-1", token).status == 200)


@pytest.mark.parametrize("wrong", ["certificate", "host"])
def test_the_password_is_shown_to_nobody_else(tmp_path: Path, wrong: str) -> None:
    made = store(tmp_path / "store", _ONLY_TLS)
    ca, host = made.folder / "tls.crt", "127.0.0.1" if wrong == "host" else "localhost"
    if wrong == "certificate":
        ca = tmp_path / "other.crt"
        ca.write_text(split(make_server_pair("localhost", datetime.now(UTC)))["tls.crt"])
    url = f"rediss://:{_PASSWORD}@{host}:{made.tls_port}/0"
    with world(tmp_path, made, url, ca, "/healthz") as one:
        assert one.service.client("phone-1", one.backend(READER)).status == 503
        eventually(lambda: "Error accepting a client connection" in made.log())
