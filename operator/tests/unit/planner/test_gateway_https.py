"""HTTPS between microservices and the gateway, and between the gateway's pods."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.adapters.placeholder import make_peer_pair
from liveconnect.controller.model.credentials import Credentials
from liveconnect.controller.model.observed import Observed, Pool
from liveconnect.controller.planner.certificate_report import certificate_rows, certificate_verdict
from liveconnect.controller.planner.certificates import Certificates, plan_certificates
from liveconnect.controller.planner.gateway_https import lacks_peer_pair, with_https
from liveconnect.controller.rendering import RenderInputs, render
from tests.unit.planner.simulation import SETTINGS, World, parse
from tests.unit.planner.test_certificates import AUTHORITY, NAMES, NOW, PLACEHOLDER, Secret
from tests.unit.planner.test_publisher_certificates import issued

HOST = "demo-gateway.ns.svc"
OWN = "demo-gateway-https"
SOUND, CALLERS = issued(HOST), {"ca.crt": AUTHORITY.cert_pem.bytes()}
SECRETS = {"https": SOUND, "callers": CALLERS}
PEER = make_peer_pair("demo-gateway", NOW)


def cluster(**tls: str) -> Cluster:
    body = parse({})
    spec = body.spec.model_dump(exclude_none=True)
    spec["gateway"]["tls"] = {"secretName": "https", **tls}
    return body.model_copy(update={"spec": type(body.spec).model_validate(spec)})


def mutual() -> Cluster:
    return cluster(clientCASecretName="callers")


def planned(asked: Cluster, secrets: Mapping[str, Secret], peer: str = PEER) -> Certificates:
    observed = Observed(secrets=secrets, peer_pair=peer)
    made = plan_certificates(asked, NAMES, observed, PLACEHOLDER, NOW)
    return with_https(made, asked, NAMES, observed, PLACEHOLDER, NOW)


def held(made: Certificates) -> Secret:
    """What is planned, as the next pass finds it."""
    assert made.https is not None
    return {key: value.encode() for key, value in made.https.items()}


def test_callers_and_pods_get_their_files() -> None:
    made = planned(mutual(), SECRETS)
    assert made.https is not None
    assert set(made.https) == {"tls.crt", "tls.key", "ca.crt", "callers-ca.crt", "peer.pem"}
    assert made.https["callers-ca.crt"] == CALLERS["ca.crt"].decode()
    assert made.https["peer.pem"] == PEER
    assert certificate_verdict(made, NOW)[0].value == "True"
    fields = [row.field for row in certificate_rows(made)]
    assert fields == [
        "spec.gateway.tls.secretName",
        "spec.gateway.tls.clientCASecretName",
        "spec.gateway.tls.secretName (ca.crt)",
    ]


def test_without_client_certificates_pods_need_none_for_each_other() -> None:
    made = planned(cluster(), SECRETS, peer="")
    assert set(held(made)) == {"tls.crt", "tls.key", "ca.crt"}


def test_the_pods_pair_is_made_once() -> None:
    first = planned(mutual(), SECRETS)
    other = make_peer_pair("demo-gateway", NOW)
    again = planned(mutual(), {**SECRETS, OWN: held(first)}, peer=other)
    assert again.https == first.https
    fresh, known = Observed(), Observed(secrets={OWN: held(first)})
    assert lacks_peer_pair(mutual(), NAMES, fresh)
    assert not lacks_peer_pair(mutual(), NAMES, known)
    assert not lacks_peer_pair(cluster(), NAMES, fresh)
    assert not lacks_peer_pair(parse({}), NAMES, fresh)


def test_the_pods_pair_is_for_clients_and_signs_nobody() -> None:
    made = x509.load_pem_x509_certificate(PEER.encode())
    usages = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert made.not_valid_before_utc < NOW < made.not_valid_after_utc


@pytest.mark.parametrize(
    ("secrets", "words"),
    [
        ({"callers": CALLERS}, "spec.gateway.tls.secretName: there is no Secret https; create it"),
        ({"https": SOUND}, "spec.gateway.tls.clientCASecretName: Secret callers: does not exist"),
        ({**SECRETS, "callers": {}}, "clientCASecretName: Secret callers: has no key ca.crt"),
        ({**SECRETS, "https": issued("other.example")}, f"is not for {HOST}; add this DNS name"),
        (
            {**SECRETS, "https": {k: v for k, v in SOUND.items() if k != "ca.crt"}},
            "has no key ca.crt; add it (the gateway's pods know each other by it)",
        ),
    ],
)
def test_what_is_wrong_is_said(secrets: Mapping[str, Secret], words: str) -> None:
    status, _, message = certificate_verdict(planned(mutual(), secrets), NOW)
    assert status.value == "False"
    assert words in message


def test_without_sound_secrets_nobody_gets_in() -> None:
    made = planned(mutual(), {})
    files = held(made)
    assert (files["tls.crt"] + files["tls.key"]).decode() == PLACEHOLDER
    assert files["callers-ca.crt"].decode() == PLACEHOLDER
    # Nor does the next pass take the placeholder for something good.
    again = planned(mutual(), {OWN: files})
    assert again.https == made.https
    assert certificate_verdict(again, NOW) == certificate_verdict(made, NOW)
    assert "the last good one" not in certificate_verdict(again, NOW)[2]


def test_the_last_good_ones_stay() -> None:
    good = planned(mutual(), SECRETS)
    broken = {"https": {"tls.crt": b"?"}, "callers": {"ca.crt": b"?"}, OWN: held(good)}
    made = planned(mutual(), broken)
    assert made.https == good.https
    assert "the last good one is used" in certificate_verdict(made, NOW)[2]


def rendered(asked: Cluster) -> dict[tuple[str, str], Any]:
    inputs = RenderInputs(
        credentials=Credentials("c", "k", "p"),
        replicas=dict.fromkeys(Pool, 1),
        https_certificates=planned(asked, SECRETS).https,
    )
    return {(m["kind"], m["metadata"]["name"]): m for m in render(asked, SETTINGS, inputs)}


def test_with_tls_the_api_has_no_plain_port() -> None:
    children = rendered(mutual())
    for service in ("demo-gateway", "demo-gateway-pods"):
        ports = children["Service", service]["spec"]["ports"]
        assert [port["port"] for port in ports] == [8443]
    pod = children["StatefulSet", "demo-gateway"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert {p["name"]: p["containerPort"] for p in container["ports"]} == {
        "http": 8080,
        "https": 8443,
    }
    assert container["readinessProbe"]["httpGet"]["port"] == "http"
    assert OWN in [volume.get("secret", {}).get("secretName") for volume in pod["volumes"]]


def test_pods_hand_over_by_https() -> None:
    config = json.loads(rendered(mutual())["ConfigMap", "demo-gateway"]["data"]["config.json"])
    assert config["peers"] == "https://demo-gateway-{ordinal}.demo-gateway-pods.ns.svc:8443"
    folder = "/etc/liveconnect/https"
    https = config["https"]
    assert https["host"] == HOST
    assert https["client_authority_files"] == [f"{folder}/callers-ca.crt", f"{folder}/peer.pem"]
    assert https["peer"]["certificate_file"] == f"{folder}/peer.pem"
    plain = json.loads(rendered(cluster())["ConfigMap", "demo-gateway"]["data"]["config.json"])
    assert plain["https"]["client_authority_files"] == []
    assert plain["https"]["peer"] == {
        "ca_file": f"{folder}/ca.crt",
        "certificate_file": None,
        "key_file": None,
    }


def test_without_tls_nothing_of_it_is_there() -> None:
    children = rendered(parse({}))
    assert ("Secret", OWN) not in children
    config = json.loads(children["ConfigMap", "demo-gateway"]["data"]["config.json"])
    assert config["https"] is None
    assert config["peers"].startswith("http://")


def test_the_endpoint_says_https() -> None:
    for asked, url in ((mutual(), f"https://{HOST}:8443"), (parse({}), f"http://{HOST}:8080")):
        endpoints = World(asked).step().status.endpoints
        assert endpoints is not None
        assert endpoints.gateway == url


def test_no_key_is_in_any_representation() -> None:
    made = planned(mutual(), SECRETS)
    assert "PRIVATE" not in repr(made)
    assert "PRIVATE" not in repr(Observed(secrets=SECRETS, peer_pair=PEER))
