"""TLS listeners: how Erlang's cache of PEM files behaves, and how the operator copes with it.

configuration.md, *Certificate rotation*, and a recording of one file for certificate and key.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from liveconnect.controller.adapters.handshake import Handshakes
from liveconnect.controller.model.certificate import read_key_pair
from tests.contract.broker.hookserver import HookServer
from tests.contract.broker.node import KEY, Node, eventually

ADDRESS = "127.0.77.1"
ONE, TWO, WEB, MUTUAL = 8883, 8884, 8885, 8886
AUTHORITY = trustme.CA()


def issued() -> dict[str, bytes]:
    leaf = AUTHORITY.issue_cert("mqtt.example")
    return {
        "tls.crt": b"".join(blob.bytes() for blob in leaf.cert_chain_pems),
        "tls.key": leaf.private_key_pem.bytes(),
    }


def put(folder: Path, secret: dict[str, bytes]) -> str:
    """Put a certificate where the listeners read it, all files at once; its fingerprint."""
    pair = read_key_pair(secret)
    content = {
        "one.pem": pair.pem.encode(),
        "two.crt": secret["tls.crt"],
        "two.key": secret["tls.key"],
    }
    for name, value in content.items():
        (folder / f"{name}.new").write_bytes(value)
    for name in content:
        (folder / f"{name}.new").rename(folder / name)
    return pair.certificate.fingerprint


def options(kind: str, name: str, port: int, folder: Path, cert: str, key: str) -> list[str]:
    base = f"listener.{kind}.{name}"
    return [
        f"{base} = {ADDRESS}:{port}",
        f"{base}.certfile = {folder / cert}",
        f"{base}.keyfile = {folder / key}",
        f"{base}.tls_version = tlsv1.2,tlsv1.3",
    ]


@pytest.fixture
def first(tmp_path: Path) -> str:
    """The fingerprint of the certificate that the node starts with."""
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.cert_pem.bytes())
    return put(tmp_path, issued())


@pytest.fixture
def node(tmp_path: Path, hooks: HookServer, first: str) -> Iterator[Node]:
    extra = [
        *options("ssl", "one", ONE, tmp_path, "one.pem", "one.pem"),
        *options("ssl", "two", TWO, tmp_path, "two.crt", "two.key"),
        *options("wss", "web", WEB, tmp_path, "one.pem", "one.pem"),
        *options("ssl", "mutual", MUTUAL, tmp_path, "one.pem", "one.pem"),
        f"listener.ssl.mutual.cafile = {tmp_path / 'ca.pem'}",
        "listener.ssl.mutual.require_certificate = on",
    ]
    lone = Node(ADDRESS, tmp_path / "a", hooks.url, extra=extra)
    lone.start()
    yield lone
    lone.stop()


def open_connection(
    port: int, client: trustme.LeafCert | None = None, version: ssl.TLSVersion | None = None
) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    AUTHORITY.configure_trust(context)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if client is not None:
        client.configure_cert(context)
    raw = socket.create_connection((ADDRESS, port), 5)
    try:
        return context.wrap_socket(raw, server_hostname="mqtt.example")
    except OSError:
        raw.close()
        raise


def shown(port: int, version: ssl.TLSVersion | None = None) -> str:
    with open_connection(port, version=version) as connection:
        return hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()


def clear(node: Node) -> None:
    assert node.get("/api/v1/tls/clear-pem-cache", KEY)[0] == 500  # it fails, and has done it


@pytest.mark.parametrize("port", [ONE, TWO, WEB])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_listeners_show_their_certificate(
    node: Node, first: str, port: int, version: ssl.TLSVersion
) -> None:
    assert shown(port, version) == first


def test_two_files_that_change_in_place_break_tls_until_the_cache_is_cleared(
    node: Node, first: str, tmp_path: Path
) -> None:
    assert shown(TWO) == first
    second = put(tmp_path, issued())
    with pytest.raises(ssl.SSLError, match=r"(?i)bad.signature"):
        shown(TWO)
    clear(node)
    assert shown(TWO) == second


def test_one_file_is_never_half_of_each_and_connections_stay(
    node: Node, first: str, tmp_path: Path
) -> None:
    with open_connection(ONE) as before:
        assert shown(ONE) == shown(WEB) == first
        second = put(tmp_path, issued())
        assert shown(ONE) == first  # the old one still, and whole
        clear(node)
        assert shown(ONE) == shown(WEB) == second
        before.settimeout(0.2)
        with pytest.raises(TimeoutError):  # neither data nor an end: it is open
            before.recv(1)
        held = hashlib.sha256(before.getpeercert(binary_form=True) or b"").hexdigest()
        assert held == first


async def test_the_operator_sees_what_clients_see_also_with_mutual_tls(
    node: Node, first: str, tmp_path: Path
) -> None:
    ports = [("pod", ADDRESS, port) for port in (ONE, TWO, WEB, MUTUAL, 8899)]
    handshakes = Handshakes()
    now = datetime.now(UTC)
    seen = await handshakes.observe(ports, now, stale=False)
    assert seen == {("pod", port): first for port in (ONE, TWO, WEB, MUTUAL)}
    second = put(tmp_path, issued())
    assert await handshakes.observe(ports, now, stale=False) == seen  # believed for a while
    assert await handshakes.observe(ports, now, stale=True) == {**seen, ("pod", TWO): ""}
    clear(node)
    after = await handshakes.observe(ports, now, stale=True)
    assert set(after.values()) == {second}


def test_mutual_tls_takes_only_certificates_of_its_authorities(node: Node, first: str) -> None:
    own = AUTHORITY.issue_cert("device-1.example", common_name="device-1")
    foreign = trustme.CA().issue_cert("device-1.example", common_name="device-1")
    with open_connection(MUTUAL, own) as connection:
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    for client in (foreign, None):

        def refused(client: trustme.LeafCert | None = client) -> bool:
            try:
                with open_connection(MUTUAL, client) as connection:
                    connection.settimeout(2)
                    return connection.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        eventually(refused)
