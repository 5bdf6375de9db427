"""TLS to the publisher pool: whom the gateway trusts, who it is, and files that are replaced."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.integration.gateway.broker import Broker
from tests.integration.gateway.test_link import publish
from tests.integration.gateway.world import Gateway, World, running_gateway, write_config
from tests.integration.webhook.world import JwksServer, Keys, eventually

HOST = "127.0.0.1"


class Files:
    """What the broker and the gateway find in their folders."""

    def __init__(self, folder: Path) -> None:
        self.broker, self.gateway = folder / "broker", folder / "gateway"
        self.broker.mkdir()
        self.gateway.mkdir()

    def put(self, folder: Path, leaf: trustme.LeafCert) -> None:
        """Put a certificate and its key there."""
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        (folder / "tls.crt").write_bytes(chain)
        (folder / "tls.key").write_bytes(leaf.private_key_pem.bytes())

    def trust(self, folder: Path, authority: trustme.CA) -> None:
        """Let whoever reads the folder know others by this authority."""
        (folder / "ca.crt").write_bytes(authority.cert_pem.bytes())

    def mosquitto(self) -> tuple[str, ...]:
        return (
            "user root",
            f"certfile {self.broker / 'tls.crt'}",
            f"keyfile {self.broker / 'tls.key'}",
            f"cafile {self.broker / 'ca.crt'}",
            "require_certificate true",
        )

    def for_gateway(self) -> dict[str, str]:
        return {
            "ca_file": str(self.gateway / "ca.crt"),
            "certificate_file": str(self.gateway / "tls.crt"),
            "key_file": str(self.gateway / "tls.key"),
        }


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def authority() -> trustme.CA:
    """Issues the publishers' certificate and the backends'."""
    return trustme.CA()


@contextlib.contextmanager
def world(folder: Path, files: Files) -> Iterator[World]:
    """A gateway that may be unable to connect, and a broker that wants its certificate."""
    cluster = Keys("cluster-1")
    jwks = JwksServer({"/cluster": cluster.document})
    broker = Broker(folder, *files.mosquitto())
    broker.start()
    try:
        with jwks.running():
            bounds = {"broker_tls": files.for_gateway()}
            config = write_config(folder, jwks, broker.port, cluster, bounds=bounds)
            with running_gateway(folder, config, wait=False) as gateway:
                eventually(lambda: listens(gateway), within=30)
                yield World(folder, cluster, jwks, broker, gateway)
    finally:
        broker.stop()


def listens(gateway: Gateway) -> bool:
    try:
        return gateway.request("GET", "/healthz").status == 200
    except OSError:
        return False


def reasons(made: World) -> str:
    """Why it could not connect, as it says."""
    return json.dumps([e for e in made.gateway.logs() if "cannot connect" in e.get("message", "")])


def test_it_publishes_once_it_has_its_certificate(
    tmp_path: Path, files: Files, authority: trustme.CA
) -> None:
    files.put(files.broker, authority.issue_cert(HOST))
    files.trust(files.broker, authority)
    files.trust(files.gateway, authority)
    with world(tmp_path, files) as made:
        eventually(lambda: "tls.crt" in reasons(made) or "No such file" in reasons(made))
        assert not made.gateway.linked()
        foreign = trustme.CA()
        files.put(files.gateway, foreign.issue_cert("gateway", common_name="gateway"))
        before = len(reasons(made))
        eventually(lambda: len(reasons(made)) > before)
        assert not made.gateway.linked()
        # As the kubelet does: the files change in place, nobody is told.
        files.put(files.gateway, authority.issue_cert("gateway", common_name="gateway"))
        eventually(made.gateway.linked, within=20)
        eventually(made.gateway.ready, within=20)
        assert publish(made) == 200
        assert "PRIVATE" not in made.gateway.log.read_text()


@pytest.mark.parametrize("case", ["another authority", "another host"])
def test_it_talks_to_nobody_but_the_publishers(
    tmp_path: Path, files: Files, authority: trustme.CA, case: str
) -> None:
    known = authority if case == "another host" else trustme.CA()
    files.put(files.broker, authority.issue_cert("other.example" if known is authority else HOST))
    files.trust(files.broker, authority)
    files.trust(files.gateway, known)
    files.put(files.gateway, authority.issue_cert("gateway", common_name="gateway"))
    with world(tmp_path, files) as made:
        eventually(lambda: "the publishers' certificate is refused" in reasons(made))
        assert not made.gateway.linked()
        assert not made.gateway.ready()
