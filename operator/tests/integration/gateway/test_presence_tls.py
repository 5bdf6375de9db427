"""The auth service is asked by HTTPS, and only if it is the auth service."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.integration.gateway.broker import Broker
from tests.integration.gateway.presence import PresenceServer
from tests.integration.gateway.world import World, running_gateway, write_config
from tests.integration.webhook.world import JwksServer, Keys, eventually


class Authority:
    """Who says that the auth service is the auth service, in the file that the gateway reads."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "auth-ca.crt"
        self.trusted = trustme.CA()
        self.write(self.trusted)

    def write(self, *trusted: trustme.CA) -> None:
        """Trust these."""
        fresh = self.file.with_suffix(".new")
        fresh.write_bytes(b"".join(one.cert_pem.bytes() for one in trusted))
        fresh.replace(self.file)

    def context(self, authority: trustme.CA, host: str = "127.0.0.1") -> ssl.SSLContext:
        """What a server has that this authority vouches for."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host).configure_cert(context)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@contextlib.contextmanager
def world_with(tmp_path: Path, authority: Authority, tls: ssl.SSLContext) -> Iterator[World]:
    """A gateway that asks this server."""
    cluster, broker = Keys("cluster-1"), Broker(tmp_path)
    jwks = JwksServer({"/cluster": cluster.document})
    broker.start()
    with jwks.running(), contextlib.ExitStack() as stack:
        stack.callback(broker.stop)
        presence = stack.enter_context(PresenceServer().running(tls))
        bounds = {"presence_tls": {"ca_file": str(authority.file)}}
        config = write_config(tmp_path, jwks, broker.port, cluster, presence.url, bounds)
        gateway = stack.enter_context(running_gateway(tmp_path, config))
        yield World(tmp_path, cluster, jwks, broker, gateway, presence)


def asked(world: World) -> int:
    """The answer to a message that is for a client that is online."""
    world.presence.states["phone-1"] = "online"
    body = b'{"payload": "x", "delivery": "online-only"}'
    path = "/v1/clients/phone-1/messages"
    return world.gateway.send(path, body, world.token(), "application/json").status


def test_presence_is_asked_by_https_of_whom_the_authorities_know(
    tmp_path: Path, authority: Authority
) -> None:
    with world_with(tmp_path, authority, authority.context(authority.trusted)) as world:
        assert asked(world) == 200
        # The authority is another one now: what vouched for the server before does so no more.
        authority.write(trustme.CA())
        eventually(lambda: asked(world) == 503, within=30)
        authority.write(authority.trusted)
        eventually(lambda: asked(world) == 200, within=30)


@pytest.mark.parametrize("host", ["127.0.0.1", "demo-other.shop.svc"])
def test_the_token_is_shown_to_nobody_else(tmp_path: Path, authority: Authority, host: str) -> None:
    known = authority.trusted if host != "127.0.0.1" else trustme.CA()
    with world_with(tmp_path, authority, authority.context(known, host)) as world:
        assert asked(world) == 503
        assert world.presence.tokens == []


def test_without_authorities_nobody_is_asked(tmp_path: Path, authority: Authority) -> None:
    authority.file.write_text("nothing")
    with world_with(tmp_path, authority, authority.context(authority.trusted)) as world:
        assert asked(world) == 503
        assert world.presence.tokens == []
