"""TLS between backends and the publisher pool: both sides' certificates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.credentials import Credentials
from liveconnect.controller.model.observed import Observed, Pool
from liveconnect.controller.planner.certificate_report import (
    certificate_rows,
    certificate_verdict,
)
from liveconnect.controller.planner.certificates import Certificates, plan_certificates
from liveconnect.controller.planner.service_certificates import with_gateway
from liveconnect.controller.rendering import RenderInputs, render
from tests.unit.planner.simulation import SETTINGS, parse
from tests.unit.planner.test_certificates import AUTHORITY, NAMES, NOW, PLACEHOLDER, Secret

HOST = "demo-publisher.ns.svc"
GATEWAY = "demo-gateway-tls"


def issued(host: str) -> Secret:
    leaf = AUTHORITY.issue_cert(host)
    return {
        "tls.crt": b"".join(blob.bytes() for blob in leaf.cert_chain_pems),
        "tls.key": leaf.private_key_pem.bytes(),
        "ca.crt": AUTHORITY.cert_pem.bytes(),
    }


PUBLISHERS, CLIENT = issued(HOST), issued("gateway.example")


def cluster(**tls: str) -> Cluster:
    body = parse({})
    spec = body.spec.model_dump(exclude_none=True)
    spec["publishers"]["tls"] = {"secretName": "publishers", **tls}
    return body.model_copy(update={"spec": type(body.spec).model_validate(spec)})


def mutual() -> Cluster:
    return cluster(clientCASecretName="backends", gatewaySecretName="gateway")


def planned(asked: Cluster, secrets: Mapping[str, Secret]) -> Certificates:
    observed = Observed(secrets=secrets)
    made = plan_certificates(asked, NAMES, observed, PLACEHOLDER, NOW)
    return with_gateway(made, asked, NAMES, observed, NOW)


def message(made: Certificates) -> str:
    return certificate_verdict(made, NOW)[2]


def test_both_sides_get_what_they_need() -> None:
    secrets = {"publishers": PUBLISHERS, "backends": PUBLISHERS, "gateway": CLIENT}
    made = planned(mutual(), secrets)
    assert set(made.files[Pool.PUBLISHER]) == {"mqtts.pem", "mqtts.ca.pem"}
    assert made.gateway is not None
    assert set(made.gateway) == {"ca.crt", "tls.crt", "tls.key"}
    assert made.gateway["tls.crt"].count("BEGIN CERTIFICATE") >= 1
    assert "PRIVATE" not in made.gateway["tls.crt"]
    assert made.gateway["tls.key"].startswith("-----BEGIN PRIVATE KEY-----")
    assert certificate_verdict(made, NOW)[0].value == "True"
    fields = [row.field for row in certificate_rows(made)]
    assert len(fields) == len(set(fields)) == 4


def test_without_mutual_tls_the_gateway_only_trusts() -> None:
    made = planned(cluster(), {"publishers": PUBLISHERS})
    assert made.gateway == {"ca.crt": AUTHORITY.cert_pem.bytes().decode()}
    assert certificate_verdict(made, NOW)[0].value == "True"


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ({k: v for k, v in PUBLISHERS.items() if k != "ca.crt"}, "has no key ca.crt; add it"),
        (issued("other.example"), f"is not for {HOST}; add this DNS name"),
    ],
)
def test_what_the_gateway_could_not_verify_is_said(secret: Secret, words: str) -> None:
    made = planned(cluster(), {"publishers": secret})
    assert certificate_verdict(made, NOW)[:2] == ("False", "CertificateInvalid")
    assert words in message(made)
    assert "the gateway knows the publishers by it" in message(made)


def test_a_certificate_for_all_services_of_the_namespace_will_do() -> None:
    made = planned(cluster(), {"publishers": issued("*.ns.svc")})
    assert certificate_verdict(made, NOW)[0].value == "True"


def test_the_gateways_last_good_certificate_stays() -> None:
    secrets = {"publishers": PUBLISHERS, "backends": PUBLISHERS, "gateway": CLIENT}
    good = planned(mutual(), secrets).gateway
    assert good is not None
    held = {key: value.encode() for key, value in good.items()}
    broken = planned(mutual(), {**secrets, "gateway": {"tls.crt": b"?"}, GATEWAY: held})
    assert broken.gateway == good
    assert "spec.publishers.tls.gatewaySecretName: Secret gateway: tls.crt is no" in message(broken)
    nothing = planned(mutual(), {GATEWAY: held})
    assert nothing.gateway == good
    assert "there is no Secret publishers" in message(nothing)


def rendered(asked: Cluster) -> dict[tuple[str, str], Any]:
    made = planned(asked, {"publishers": PUBLISHERS, "backends": PUBLISHERS, "gateway": CLIENT})
    inputs = RenderInputs(
        credentials=Credentials("c", "k", "p"),
        replicas=dict.fromkeys(Pool, 1),
        certificates=made.files,
        gateway_certificates=made.gateway,
    )
    return {(m["kind"], m["metadata"]["name"]): m for m in render(asked, SETTINGS, inputs)}


def test_with_tls_there_is_no_plain_way_in() -> None:
    children = rendered(mutual())
    conf = children["ConfigMap", "demo-publisher"]["data"]["vernemq.conf"].splitlines()
    assert "listener.ssl.mqtts = 0.0.0.0:8883" in conf
    assert "listener.ssl.mqtts.require_certificate = on" in conf
    plain = [line for line in conf if line.startswith("listener.tcp.")]
    # The operator's own, which lets nobody else in and is a world of its own.
    assert not [line for line in plain if not line.startswith("listener.tcp.canary")]
    assert "listener.tcp.canary.mountpoint = liveconnect-canary" in plain
    ports = children["Service", "demo-publisher"]["spec"]["ports"]
    assert [port["port"] for port in ports] == [8883]
    rules = children["NetworkPolicy", "demo-publisher"]["spec"]["ingress"]
    assert 1883 not in [port["port"] for rule in rules for port in rule["ports"]]
    config = json.loads(children["ConfigMap", "demo-gateway"]["data"]["config.json"])
    folder = "/etc/liveconnect/publishers"
    assert config["broker_port"] == 8883
    assert config["broker_tls"] == {
        "ca_file": f"{folder}/ca.crt",
        "certificate_file": f"{folder}/tls.crt",
        "key_file": f"{folder}/tls.key",
    }
    pod = children["StatefulSet", "demo-gateway"]["spec"]["template"]["spec"]
    assert GATEWAY in [v.get("secret", {}).get("secretName") for v in pod["volumes"]]


def test_without_tls_nothing_of_it_is_there() -> None:
    children = rendered(parse({}))
    assert ("Secret", GATEWAY) not in children
    config = json.loads(children["ConfigMap", "demo-gateway"]["data"]["config.json"])
    assert (config["broker_port"], config["broker_tls"]) == (1883, None)


def test_no_key_is_in_any_representation() -> None:
    made = planned(mutual(), {"publishers": PUBLISHERS, "backends": PUBLISHERS, "gateway": CLIENT})
    assert "PRIVATE" not in repr(made)
