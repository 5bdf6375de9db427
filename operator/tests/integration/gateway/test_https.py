"""HTTPS for callers: who may connect, certificates that are replaced, pods among themselves."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from liveconnect.controller.adapters.placeholder import make_peer_pair
from tests.integration.gateway.broker import Broker
from tests.integration.gateway.subscriber import Subscriber
from tests.integration.gateway.test_peers import KEYS, two_ports
from tests.integration.gateway.world import World, running_gateway, write_config
from tests.integration.webhook.world import Answer, JwksServer, Keys, eventually, free_port

HOST = "demo-gateway.shop.svc"


class Files:
    """The Secret of the gateway's HTTPS, as its pods see it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.authority, self.callers = trustme.CA(), trustme.CA()
        self.renew()
        self.take(self.callers)
        (folder / "peer.pem").write_text(make_peer_pair("demo-gateway", datetime.now(UTC)))

    def renew(self) -> None:
        """Replace certificate and key, one after the other."""
        leaf = self.authority.issue_cert(HOST)
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        (self.folder / "tls.crt").write_bytes(chain)
        (self.folder / "tls.key").write_bytes(leaf.private_key_pem.bytes())
        (self.folder / "ca.crt").write_bytes(self.authority.cert_pem.bytes())

    def take(self, authority: trustme.CA) -> None:
        """Let callers in that have a certificate of this authority, and no others."""
        (self.folder / "callers-ca.crt").write_bytes(authority.cert_pem.bytes())

    def config(self, port: int) -> dict[str, Any]:
        path = {name.name: str(name) for name in self.folder.iterdir()}
        return {
            "port": port,
            "host": HOST,
            "certificate_file": path["tls.crt"],
            "key_file": path["tls.key"],
            "client_authority_files": [path["callers-ca.crt"], path["peer.pem"]],
            "peer": {
                "ca_file": path["ca.crt"],
                "certificate_file": path["peer.pem"],
                "key_file": path["peer.pem"],
            },
        }

    def context(self, caller: trustme.CA | None) -> ssl.SSLContext:
        """What a caller trusts, and its own certificate by this authority, if any."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # it connects to an address
        self.authority.configure_trust(context)
        if caller is not None:
            caller.issue_cert("orders", common_name="orders").configure_cert(context)
        return context


class Api:
    """The HTTPS port, as a caller sees it."""

    def __init__(self, files: Files, port: int) -> None:
        self.files, self.port = files, port

    def connection(self, caller: trustme.CA | None) -> http.client.HTTPSConnection:
        context = self.files.context(caller)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=context)

    def post(
        self,
        token: str,
        connection: http.client.HTTPSConnection,
        key: str = "",
        payload: str = "over",
    ) -> Answer:
        body = json.dumps({"topic": "orders/1", "payload": payload, "qos": 2})
        named = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        connection.request(
            "POST", "/v1/publish", body, {**named, **({"Idempotency-Key": key} if key else {})}
        )
        answer = connection.getresponse()
        return Answer(answer.status, answer.read(), dict(answer.getheaders()))

    def takes(self, token: str, caller: trustme.CA | None) -> bool:
        """Whether a new connection with a certificate of this authority is taken."""
        connection = self.connection(caller)
        try:
            return self.post(token, connection).status == 200
        except OSError:  # in TLS 1.3 a client hears of its refusal when it reads
            return False
        finally:
            connection.close()

    def shown(self) -> str:
        """The fingerprint that a new handshake shows; the chain is verified."""
        connection = self.connection(self.files.callers)
        connection.connect()
        assert isinstance(connection.sock, ssl.SSLSocket)
        shown = connection.sock.getpeercert(binary_form=True) or b""
        connection.close()
        return hashlib.sha256(shown).hexdigest()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "https")


@pytest.fixture
def api(files: Files) -> Api:
    return Api(files, free_port())


@pytest.fixture
def world(tmp_path: Path, files: Files, api: Api) -> Iterator[World]:
    cluster, broker = Keys("cluster-1"), Broker(tmp_path)
    jwks = JwksServer({"/cluster": cluster.document})
    broker.start()
    with jwks.running(), contextlib.ExitStack() as stack:
        stack.callback(broker.stop)
        bounds = {"https": files.config(api.port)}
        config = write_config(tmp_path, jwks, broker.port, cluster, bounds=bounds)
        # Ready by a probe that has no certificate.
        gateway = stack.enter_context(running_gateway(tmp_path, config))
        yield World(tmp_path, cluster, jwks, broker, gateway)


def test_only_callers_with_certificate_and_token_publish(
    world: World, api: Api, files: Files
) -> None:
    assert api.takes(world.token(), files.callers)
    assert not api.takes(world.token(), None)
    assert not api.takes(world.token(), trustme.CA())
    # The server's own authority is none for callers.
    assert not api.takes(world.token(), files.authority)
    connection = api.connection(files.callers)
    assert api.post("nonsense", connection).status == 401
    connection.close()


def test_the_plain_port_tells_of_the_process_and_publishes_nothing(world: World) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert world.gateway.request("GET", path).status == 200
    posted = world.gateway.post({"topic": "orders/1", "payload": "x"}, world.token())
    assert posted.status == 404
    handed = world.gateway.post({"topic": "o"}, world.token(), liveconnect_forwarded="1")
    assert (handed.status, handed.headers["Retry-After"], handed.json["sent"]) == (503, "2", False)


def test_a_renewed_certificate_is_served_and_ends_no_connection(
    world: World, api: Api, files: Files
) -> None:
    before = api.shown()
    connection = api.connection(files.callers)
    assert api.post(world.token(), connection).status == 200
    kept = connection.sock
    files.renew()
    eventually(lambda: api.shown() != before, within=15)
    assert api.post(world.token(), connection).status == 200
    assert connection.sock is kept
    # What cannot be used changes nothing.
    second = api.shown()
    (files.folder / "tls.key").write_text("nothing")
    warned = "new certificates cannot be used"
    eventually(lambda: any(warned in e["message"] for e in world.gateway.logs()), within=15)
    assert api.shown() == second
    connection.close()
    assert "PRIVATE" not in world.gateway.log.read_text()


def test_a_withdrawn_authority_lets_nobody_in_not_even_by_resuming(
    world: World, api: Api, files: Files
) -> None:
    context = files.context(files.callers)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # its sessions are known after the handshake
    connection = http.client.HTTPSConnection("127.0.0.1", api.port, timeout=10, context=context)
    assert api.post(world.token(), connection).status == 200
    assert isinstance(connection.sock, ssl.SSLSocket)
    session = connection.sock.session
    connection.close()
    files.take(trustme.CA())
    eventually(lambda: not api.takes(world.token(), files.callers), within=15)
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        raw = http.client.HTTPConnection("127.0.0.1", api.port, timeout=10)
        raw.connect()
        stack.callback(raw.close)
        assert raw.sock is not None
        sock = context.wrap_socket(raw.sock, session=session)
        stack.callback(sock.close)
        pytest.fail("a session of a withdrawn authority was resumed")


@pytest.mark.parametrize("spoilt", ["tls.key", "callers-ca.crt"])
def test_with_files_that_are_none_it_does_not_start(
    tmp_path: Path, files: Files, spoilt: str
) -> None:
    (files.folder / spoilt).write_text("nothing")
    cluster = Keys("cluster-1")
    jwks = JwksServer({"/cluster": cluster.document})
    bounds = {"https": files.config(free_port())}
    with jwks.running():
        config = write_config(tmp_path, jwks, 1, cluster, bounds=bounds)
        with pytest.raises(AssertionError, match="https:"), running_gateway(tmp_path, config):
            pass


@pytest.fixture
def pods(tmp_path: Path, files: Files) -> Iterator[list[tuple[World, Api]]]:
    """Two gateways that know each other by the certificate that both have, and their broker."""
    broker, cluster, tens = Broker(tmp_path), Keys("cluster-1"), two_ports()
    jwks = JwksServer({"/cluster": cluster.document})
    broker.start()
    with jwks.running(), contextlib.ExitStack() as stack:
        stack.callback(broker.stop)
        found = []
        for ordinal in range(2):
            folder = tmp_path / f"pod-{ordinal}"
            folder.mkdir()
            port = 10 * tens + ordinal
            peers = f"https://127.0.0.1:{tens}{{ordinal}}"
            bounds = {"replicas": 2, "peers": peers, "https": files.config(port)}
            config = write_config(folder, jwks, broker.port, cluster, bounds=bounds)
            running = running_gateway(folder, config, pod=f"demo-gateway-{ordinal}")
            gateway = stack.enter_context(running)
            world = World(folder, cluster, jwks, broker, gateway)
            found.append((world, Api(files, port)))
        yield found


def _everywhere(pods: list[tuple[World, Api]], key: str) -> list[int]:
    """Answers of both pods to the same message with the same key: one of them hands it over."""
    answers = []
    for world, api in pods:
        connection = api.connection(api.files.callers)
        answers.append(api.post(world.token(), connection, key, key).status)
        connection.close()
    return answers


def test_pods_hand_over_by_mutual_tls_whatever_is_renewed(
    pods: list[tuple[World, Api]], files: Files
) -> None:
    subscriber = Subscriber(pods[0][0].broker.port)
    for key in KEYS:
        assert _everywhere(pods, key) == [200, 200]
    assert sorted(subscriber.next().payload.decode() for _ in KEYS) == sorted(KEYS)
    assert subscriber.drain() == []
    before = [api.shown() for _, api in pods]
    files.renew()
    eventually(lambda: not {api.shown() for _, api in pods} & set(before), within=15)
    assert [_everywhere(pods, f"{key}-again") for key in KEYS] == [[200, 200]] * len(KEYS)
    subscriber.stop()


def test_pods_know_by_mutual_tls_who_is_ready(pods: list[tuple[World, Api]]) -> None:
    (here, _), (other, _) = pods
    with other.gateway.silent():
        eventually(lambda: here.gateway.ready_pods() == 1, within=20)
    eventually(lambda: here.gateway.ready_pods() == 2, within=20)


def test_pods_hand_nothing_over_to_whom_they_do_not_know(
    pods: list[tuple[World, Api]], files: Files
) -> None:
    # Before the first hand-over: what pods know each other by is read then.
    (files.folder / "ca.crt").write_bytes(trustme.CA().cert_pem.bytes())
    answers = [_everywhere(pods, key) for key in KEYS]
    assert {status for pair in answers for status in pair} == {200, 503}
    refused = [e for world, _ in pods for e in world.gateway.logs() if "refused" in e["message"]]
    assert refused
