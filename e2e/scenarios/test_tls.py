"""TLS listeners: certificates of users' Secrets, renewed and broken, seen from outside."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import socket
import ssl
from collections.abc import Callable, Iterator

import pytest
import trustme

from e2e.kit import samples
from e2e.kit.cluster import Cluster, Manifest, condition
from e2e.kit.eventually import eventually
from e2e.kit.issuer import Issuer
from e2e.kit.loadbalancer import door
from e2e.kit.microservice import AUDIENCE
from e2e.kit.phone import Address, Phone
from e2e.kit.portforward import PortForward
from e2e.kit.ready import wait_ready

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("secure")]

_NAME, _NAMESPACE = "secure", "e2e-tls"
_SECRET = "devices-tls"
_HOST = "mqtt.example"
#: The kubelet brings changed Secrets within a sync period and a cache's life, 60 to 120 s.
_KUBELET_SECONDS = 200

Door = Callable[[str], Address]


class Certificates:
    """The authority of the test, and what it has issued last."""

    def __init__(self) -> None:
        self.authority = trustme.CA()
        self.fingerprint = ""

    def secret(self) -> Manifest:
        """A new certificate, as cert-manager would put it."""
        leaf = self.authority.issue_cert(_HOST)
        first = leaf.cert_chain_pems[0].bytes().decode()
        self.fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).hexdigest()
        return _secret(self._content(leaf))

    def of_service(self, name: str, host: str) -> Manifest:
        """The Secret of a service's own certificate."""
        return _secret(self._content(self.authority.issue_cert(host)), name)

    def _content(self, leaf: trustme.LeafCert) -> dict[str, bytes]:
        return {
            "tls.crt": b"".join(blob.bytes() for blob in leaf.cert_chain_pems),
            "tls.key": leaf.private_key_pem.bytes(),
            "ca.crt": self.authority.cert_pem.bytes(),
        }

    def context(self, *, client: bool = False) -> ssl.SSLContext:
        """What a phone trusts, and its own certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # it connects to an address
        self.authority.configure_trust(context)
        if client:
            self.authority.issue_cert("device", common_name="device").configure_cert(context)
        return context


def _secret(content: dict[str, bytes], name: str = _SECRET) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": name, "namespace": _NAMESPACE},
        "data": {key: base64.b64encode(value).decode() for key, value in content.items()},
    }


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates()


@pytest.fixture(scope="module")
def secure(cluster: Cluster, issuer: Issuer, certificates: Certificates) -> Iterator[Manifest]:
    """A small object with every kind of TLS listener beside a plain one, and TLS between services.

    It is ready only if the brokers are let in by the auth service, and the gateway by the brokers.
    """
    cluster.ensure_namespace(_NAMESPACE)
    tls = {"secretName": _SECRET}
    listeners = [
        {"name": "mqtt", "port": 1883},
        {"name": "mqtts", "protocol": "MQTTS", "port": 8883, "tls": tls},
        {"name": "wss", "protocol": "WSS", "port": 8443, "tls": {**tls, "minVersion": "1.3"}},
        {
            "name": "fleet",
            "protocol": "MQTTS",
            "port": 8884,
            "tls": {**tls, "clientCASecretName": _SECRET},
        },
    ]
    body = samples.tiny(_NAME, _NAMESPACE, subscribers={"replicas": 1, "listeners": listeners})
    body["spec"]["auth"]["tls"] = {"secretName": "auth"}
    body["spec"]["publishers"]["tls"] = {
        "secretName": "publishers",
        "clientCASecretName": "publishers",
        "gatewaySecretName": "gateway",
    }
    body["spec"]["gateway"] |= {
        "tls": {"secretName": "https", "clientCASecretName": "https"},
        "callers": [
            {
                "serviceAccount": {"namespace": _NAMESPACE, "name": "orders"},
                "publish": ["orders/#", "clients/+/inbox"],
            }
        ],
    }
    reader = {"serviceAccount": {"namespace": _NAMESPACE, "name": "orders"}}
    body["spec"].setdefault("presence", {})["readers"] = [reader]
    secrets = (
        certificates.secret(),
        certificates.of_service("https", f"{_NAME}-gateway.{_NAMESPACE}.svc"),
        certificates.of_service("auth", f"{_NAME}-auth.{_NAMESPACE}.svc"),
        certificates.of_service("publishers", f"{_NAME}-publisher.{_NAMESPACE}.svc"),
        certificates.of_service("gateway", "gateway.example"),
    )
    keys = samples.key_set(_NAME, _NAMESPACE, issuer)
    account = samples.service_account(_NAMESPACE, "orders")
    cluster.apply(*secrets, keys, account, body, namespace=_NAMESPACE)
    wait_ready(cluster, _NAME, _NAMESPACE, within=240)
    yield body
    cluster.delete(samples.KIND, _NAME, _NAMESPACE)
    cluster.delete("namespace", _NAMESPACE)


@pytest.fixture
def doors(cluster: Cluster) -> Iterator[dict[str, Address]]:
    """Where phones connect to, by listener."""
    service = f"{_NAME}-subscriber"
    with (
        door(cluster, _NAMESPACE, service) as mqtt,
        door(cluster, _NAMESPACE, service, "mqtts") as mqtts,
        door(cluster, _NAMESPACE, service, "wss") as wss,
        door(cluster, _NAMESPACE, service, "fleet") as fleet,
    ):
        yield {"mqtt": mqtt, "mqtts": mqtts, "wss": wss, "fleet": fleet}


def _shown(address: Address, context: ssl.SSLContext) -> str:
    """The fingerprint that a new handshake shows; the chain and the signature are verified."""
    with (
        socket.create_connection(address, timeout=10) as raw,
        context.wrap_socket(raw) as connection,
    ):
        return hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()


def _verdict(cluster: Cluster) -> Manifest:
    return condition(cluster.existing(samples.KIND, _NAME, _NAMESPACE), "CertificatesReady")


def test_phones_connect_by_tls_and_by_websocket_over_tls(
    doors: dict[str, Address], issuer: Issuer, certificates: Certificates
) -> None:
    for listener, websocket in (("mqtts", False), ("wss", True)):
        client_id = f"tls-{listener}"
        phone = Phone(
            client_id,
            issuer.token(client_id, "4711"),
            tls=certificates.context(),
            websocket=websocket,
        )
        assert phone.connect(doors[listener]) == 0
        phone.disconnect()


def test_mutual_tls_takes_only_devices_with_a_certificate(
    doors: dict[str, Address], issuer: Issuer, certificates: Certificates
) -> None:
    token = issuer.token("fleet-1", "4711")
    known = Phone("fleet-1", token, tls=certificates.context(client=True))
    assert known.connect(doors["fleet"]) == 0
    known.disconnect()
    unknown = Phone("fleet-1", token, tls=certificates.context())
    with pytest.raises((OSError, AssertionError)):
        unknown.connect(doors["fleet"], within=3)
    unknown.disconnect()
    # The certificate alone is not enough.
    anonymous = Phone("fleet-1", None, tls=certificates.context(client=True))
    assert anonymous.connect(doors["fleet"]) != 0
    anonymous.disconnect()


_MESSAGE = {"topic": "orders/4711/1/status", "payload": "on its way", "qos": 1}


def _post(
    address: Address,
    context: ssl.SSLContext,
    token: str,
    path: str = "/v1/publish",
    message: Manifest = _MESSAGE,
) -> int:
    """Publish at the gateway by HTTPS; the answer's status.

    Raises:
        OSError: When the connection is refused.
    """
    connection = http.client.HTTPSConnection(*address, timeout=10, context=context)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    try:
        connection.request("POST", path, json.dumps(message), headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_gateway_takes_only_callers_with_certificate_and_token(
    cluster: Cluster, certificates: Certificates
) -> None:
    token = cluster.token(_NAMESPACE, "orders", AUDIENCE)
    known, unknown = certificates.context(client=True), certificates.context()
    with PortForward(cluster, _NAMESPACE, f"service/{_NAME}-gateway", 8443) as gateway:
        assert _post(gateway.address, known, token) == 200
        assert _post(gateway.address, known, "nonsense") == 401
        with pytest.raises(OSError):  # noqa: PT011 - an alert or a reset, as it happens
            _post(gateway.address, unknown, token)
    body = cluster.existing(samples.KIND, _NAME, _NAMESPACE)
    address = f"https://{_NAME}-gateway.{_NAMESPACE}.svc:8443"
    assert body["status"]["endpoints"]["gateway"] == address


def _asked(address: Address, context: ssl.SSLContext | None, token: str) -> int:
    """Ask the auth service who is online; the answer's status.

    Raises:
        OSError: When the connection is refused or cut.
        http.client.HTTPException: When what answers is no HTTP.
    """
    connection = (
        http.client.HTTPConnection(*address, timeout=10)
        if context is None
        else http.client.HTTPSConnection(*address, timeout=10, context=context)
    )
    try:
        connection.request("GET", "/v1/counts", headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_presence_is_told_by_https_and_in_no_other_way(
    cluster: Cluster, certificates: Certificates
) -> None:
    token, auth = cluster.token(_NAMESPACE, "orders", AUDIENCE), f"{_NAME}-auth"
    with PortForward(cluster, _NAMESPACE, f"service/{auth}", 8443) as api:
        assert _asked(api.address, certificates.context(), token) == 200
        assert _asked(api.address, certificates.context(), "nonsense") == 401
        with pytest.raises(ssl.SSLError):
            _asked(api.address, Certificates().context(), token)
        with pytest.raises((OSError, http.client.HTTPException)):
            _asked(api.address, None, token)
    ports = {p["port"] for p in cluster.existing("service", auth, _NAMESPACE)["spec"]["ports"]}
    assert 8080 not in ports
    # Neither in the pods, whose plain port is the kubelet's and the monitors'.
    with PortForward(cluster, _NAMESPACE, f"deployment/{auth}", 8080) as plain:
        assert _asked(plain.address, None, token) == 404
    body = cluster.existing(samples.KIND, _NAME, _NAMESPACE)
    address = f"https://{auth}.{_NAMESPACE}.svc:8443"
    assert body["status"]["endpoints"]["presence"] == address


def test_the_gateway_asks_who_is_online_by_https(
    cluster: Cluster, doors: dict[str, Address], issuer: Issuer, certificates: Certificates
) -> None:
    token = cluster.token(_NAMESPACE, "orders", AUDIENCE)
    phone = Phone("asked-for", issuer.token("asked-for", "4711"))
    assert phone.connect(doors["mqtt"]) == 0
    context = certificates.context(client=True)
    message = {"payload": "x", "delivery": "online-only"}
    with PortForward(cluster, _NAMESPACE, f"service/{_NAME}-gateway", 8443) as gateway:

        def answered() -> int:
            path = "/v1/clients/asked-for/messages"
            return _post(gateway.address, context, token, path, message)

        eventually(lambda: answered() == 200, within=20, every=0.5, what="it is seen online")
    phone.disconnect()


_STORE = """
cli=$(command -v valkey-cli || command -v redis-cli)
REDISCLI_AUTH="$(cat /etc/liveconnect/secret/password)" "$cli" {options} dbsize 2>&1 || true
"""


def test_the_managed_store_is_asked_by_tls_and_in_no_other_way(cluster: Cluster) -> None:
    pod = f"{_NAME}-presence-0"

    def answer(options: str) -> str:
        script = _STORE.format(options=options)
        return cluster.kubectl("exec", pod, "-n", _NAMESPACE, "--", "sh", "-c", script)

    known = "--tls --cacert /etc/liveconnect/tls/tls.crt -p 6380"
    assert int(answer(known).split()[-1]) > 0, "presence is kept there"
    assert "Could not connect" in answer("-p 6379")
    assert not answer("-p 6380").strip().isdecimal()
    ports = cluster.existing("service", f"{_NAME}-presence", _NAMESPACE)["spec"]["ports"]
    assert [port["port"] for port in ports] == [6380]


def test_a_renewed_certificate_is_served_without_restart_and_disconnect(
    cluster: Cluster, doors: dict[str, Address], issuer: Issuer, certificates: Certificates
) -> None:
    pod = f"{_NAME}-subscriber-0"
    uid = cluster.existing("pod", pod, _NAMESPACE)["metadata"]["uid"]
    context = certificates.context()
    phone = Phone("stays", issuer.token("stays", "4711"), tls=certificates.context())
    assert phone.connect(doors["mqtts"]) == 0
    before = certificates.fingerprint
    assert _shown(doors["mqtts"], context) == before
    cluster.apply(certificates.secret(), namespace=_NAMESPACE)

    def renewed() -> bool:
        # Every single handshake succeeds, and shows the old one or the new one.
        shown = {_shown(doors[listener], context) for listener in ("mqtts", "wss")}
        assert shown <= {before, certificates.fingerprint}, "neither the old nor the new one"
        return shown == {certificates.fingerprint}

    eventually(renewed, within=_KUBELET_SECONDS, every=0.5, what="the new certificate")
    assert phone.connected()
    assert phone.subscribe("orders/4711/1/status") in {0, 1, 2}
    phone.disconnect()
    body = cluster.existing("pod", pod, _NAMESPACE)
    assert body["metadata"]["uid"] == uid
    assert body["status"]["containerStatuses"][0]["restartCount"] == 0

    def said() -> bool:
        rows = cluster.existing(samples.KIND, _NAME, _NAMESPACE)["status"]["certificates"]
        return all(row["served"] in {"1/1", ""} for row in rows)

    eventually(said, within=60, every=1, what="status.certificates: served 1/1")


def test_a_broken_secret_is_named_and_nothing_else_notices(
    cluster: Cluster, doors: dict[str, Address], issuer: Issuer, certificates: Certificates
) -> None:
    good = _shown(doors["mqtts"], certificates.context())
    cluster.apply(_secret({"tls.crt": b"nothing", "tls.key": b"nothing"}), namespace=_NAMESPACE)
    eventually(
        lambda: _verdict(cluster)["status"] == "False", within=60, every=1, what="it is said"
    )
    assert f"Secret {_SECRET}" in _verdict(cluster)["message"]
    assert _shown(doors["mqtts"], certificates.context()) == good
    plain = Phone("plain", issuer.token("plain", "4711"))
    assert plain.connect(doors["mqtt"]) == 0
    plain.disconnect()
    cluster.apply(certificates.secret(), namespace=_NAMESPACE)
    eventually(lambda: _verdict(cluster)["status"] == "True", within=60, every=1, what="healed")
    wait_ready(cluster, _NAME, _NAMESPACE, within=60)
