"""Hooks and API over TLS: what is left without it, and certificates that are replaced."""

from __future__ import annotations

import hashlib
import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.integration.webhook.world import (
    READER,
    JwksServer,
    Keys,
    Redis,
    World,
    eventually,
    free_port,
    register_body,
    running_service,
    write_config,
)

HOST = "127.0.0.1"


class Hooks:
    """The hooks' TLS port, as a broker sees it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.api_port = free_port()
        self.authority = trustme.CA()
        self._certificate, self._key = folder / "tls.crt", folder / "tls.key"
        self.renew()

    def renew(self) -> None:
        """Replace both files, one after the other."""
        leaf = self.authority.issue_cert(HOST)
        self._certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        self._key.write_bytes(leaf.private_key_pem.bytes())

    def spoil(self) -> None:
        """Leave a key that is none."""
        self._key.write_text("nothing")

    def config(self) -> dict[str, Any]:
        return {
            "certificate_file": str(self._certificate),
            "key_file": str(self._key),
            "hooks_port": self.port,
            "api_port": self.api_port,
        }

    def connection(self, port: int = 0) -> http.client.HTTPSConnection:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(context)
        return http.client.HTTPSConnection(HOST, port or self.port, timeout=10, context=context)

    def api(self, path: str, token: str) -> int:
        """The status that the API's port answers with."""
        connection = self.connection(self.api_port)
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        status = connection.getresponse().status
        connection.close()
        return status

    def shown(self) -> str:
        """The fingerprint that a new handshake shows; chain, host and signature are verified."""
        connection = self.connection()
        connection.connect()
        assert isinstance(connection.sock, ssl.SSLSocket)
        certificate = connection.sock.getpeercert(binary_form=True) or b""
        connection.close()
        return hashlib.sha256(certificate).hexdigest()


def ask(connection: http.client.HTTPSConnection, token: str) -> dict[str, Any]:
    body = json.dumps(register_body(token, "phone-1"))
    headers = {"vernemq-hook": "auth_on_register", "Content-Type": "application/json"}
    connection.request("POST", "/hooks/auth/subscriber/demo-subscriber-0", body, headers)
    answer: dict[str, Any] = json.loads(connection.getresponse().read())
    return answer


@pytest.fixture
def hooks(tmp_path: Path) -> Hooks:
    return Hooks(tmp_path)


@pytest.fixture
def world(tmp_path: Path, hooks: Hooks) -> Iterator[World]:
    issuer, cluster, redis = Keys("device-1"), Keys("cluster-1"), Redis(tmp_path)
    jwks = JwksServer({"/devices": issuer.document, "/cluster": cluster.document})
    redis.start()
    try:
        with jwks.running():
            config = write_config(tmp_path, jwks, redis, cluster, tls=hooks.config())
            plain = str(free_port())
            with running_service(tmp_path, config, LIVECONNECT_HOOKS_PORT=plain) as service:
                yield World(tmp_path, issuer, cluster, jwks, redis, service)
    finally:
        redis.stop()


def test_hooks_are_answered_by_tls_and_a_renewed_certificate_ends_no_connection(
    world: World, hooks: Hooks
) -> None:
    first = hooks.shown()
    connection = hooks.connection()
    assert ask(connection, world.device())["result"] == "ok"
    kept = connection.sock
    hooks.renew()
    eventually(lambda: hooks.shown() != first, within=15)
    assert ask(connection, world.device())["result"] == "ok"
    assert connection.sock is kept
    # What cannot be used changes nothing.
    second = hooks.shown()
    hooks.spoil()
    eventually(
        lambda: any("cannot be used" in line["message"] for line in world.service.logs()),
        within=15,
    )
    assert hooks.shown() == second
    assert ask(connection, world.device())["result"] == "ok"
    connection.close()


def test_the_port_has_hooks_only(world: World, hooks: Hooks) -> None:
    connection = hooks.connection()
    connection.request("GET", "/v1/clients/phone-1")
    assert connection.getresponse().status == 404
    connection.close()
    assert world.service.request("GET", "/readyz").status == 200


def test_the_api_is_answered_by_tls_and_of_the_plain_port_only_operations_are_left(
    world: World, hooks: Hooks
) -> None:
    token = world.backend(READER)
    assert hooks.api("/v1/counts", token) == 200
    assert hooks.api("/v1/counts", "nonsense") == 401
    assert hooks.api("/hooks/auth/subscriber/demo-subscriber-0", token) == 404
    bearer = f"Bearer {token}"

    def plain(path: str = "/v1/counts") -> int:
        return world.service.request("GET", path, Authorization=bearer).status

    # Until the gateway asks by TLS: then the operator writes the file anew.
    assert plain() == 200
    config = json.loads((world.folder / "config.json").read_text())
    fresh = world.folder / "config.new"
    fresh.write_text(json.dumps({**config, "plain_api": False}))
    fresh.replace(world.folder / "config.json")
    eventually(lambda: plain() == 404, within=10)
    for path in ("/v1/clients/phone-1", "/v1/lookups", "/v1/changes", "/v1/revocations"):
        assert plain(path) == 404
    for path in ("/healthz", "/readyz", "/metrics", "/v1/rules"):
        assert plain(path) == 200
    assert hooks.api("/v1/counts", token) == 200


def test_the_api_shows_a_renewed_certificate(world: World, hooks: Hooks) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    hooks.authority = trustme.CA()
    hooks.renew()
    hooks.authority.configure_trust(context)

    def renewed() -> bool:
        connection = http.client.HTTPSConnection(HOST, hooks.api_port, timeout=10, context=context)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except ssl.SSLError:
            return False
        finally:
            connection.close()

    eventually(renewed, within=15)


def test_without_a_certificate_it_does_not_start(tmp_path: Path, hooks: Hooks) -> None:
    hooks.spoil()
    issuer, cluster, redis = Keys("device-1"), Keys("cluster-1"), Redis(tmp_path)
    jwks = JwksServer({"/devices": issuer.document, "/cluster": cluster.document})
    with jwks.running():
        config = write_config(tmp_path, jwks, redis, cluster, tls=hooks.config())
        with pytest.raises(AssertionError, match="tls: "), running_service(tmp_path, config):
            pass
