"""Secrets with certificates, of users, against a real API server."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import trustme

from liveconnect.controller.model.certificate import read_key_pair
from tests.integration.controller.conftest import Eventually, Kube, Operator
from tests.integration.controller.test_reconcile import cluster

pytestmark = pytest.mark.integration

AUTHORITY = trustme.CA()
MQTT = {"name": "mqtt", "port": 1883}
MQTTS = {"name": "mqtts", "protocol": "MQTTS", "port": 8883, "tls": {"secretName": "devices"}}


def issued() -> dict[str, bytes]:
    leaf = AUTHORITY.issue_cert("mqtt.example")
    return {
        "tls.crt": b"".join(blob.bytes() for blob in leaf.cert_chain_pems),
        "tls.key": leaf.private_key_pem.bytes(),
    }


def secret(content: dict[str, bytes]) -> dict[str, Any]:
    """As by hand or by cert-manager."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": "devices"},
        "data": {key: base64.b64encode(value).decode() for key, value in content.items()},
    }


def with_tls(name: str = "demo") -> dict[str, Any]:
    return cluster(name, subscribers={"listeners": [MQTT, MQTTS]})


def certificates_ready(kube: Kube, name: str = "demo") -> dict[str, Any]:
    status = kube.get("lcc", name).get("status") or {}
    found: dict[str, Any] = next(
        (c for c in status.get("conditions", []) if c["type"] == "CertificatesReady"), {}
    )
    return found


def served(kube: Kube) -> bytes:
    """What the pods of the pool find in their file."""
    return base64.b64decode(kube.get("secret", "demo-subscriber-tls")["data"]["mqtts.pem"])


def pem(content: dict[str, bytes]) -> bytes:
    return read_key_pair(content).pem.encode()


def test_a_renewed_certificate_reaches_the_pods_without_a_restart(
    kube: Kube, eventually: Eventually, operator_process: Operator
) -> None:
    first, second = issued(), issued()
    kube.apply(secret(first))
    kube.apply(with_tls())
    eventually(lambda: served(kube) == pem(first), within=40)
    row = eventually(lambda: kube.get("lcc", "demo")["status"]["certificates"][0])
    assert row["serial"] == read_key_pair(first).certificate.serial
    expiry = read_key_pair(first).certificate.not_after
    labels = 'cluster="demo",field="spec.subscribers.listeners[mqtts].tls.secretName"'

    def metric() -> float:
        lines = operator_process.metrics().splitlines()
        line = next(
            li
            for li in lines
            if li.startswith("liveconnect_certificate_expiry_timestamp_seconds{")
            and labels in li
            and f'namespace="{kube.namespace}"' in li
        )
        return float(line.rsplit(" ", 1)[1])

    assert eventually(metric) == expiry.timestamp()
    template = eventually(lambda: kube.get("statefulset", "demo-subscriber")["spec"]["template"])
    kube.apply(secret(second))
    eventually(lambda: served(kube) == pem(second), within=30)
    assert kube.get("statefulset", "demo-subscriber")["spec"]["template"] == template
    eventually(lambda: "CertificateRenewed" in kube("get", "events", "-o", "yaml"))
    kube("delete", "lcc", "demo")
    eventually(lambda: not _mine(operator_process, kube))


def _mine(operator: Operator, kube: Kube) -> bool:
    return any(
        li.startswith("liveconnect_certificate_expiry") and f'namespace="{kube.namespace}"' in li
        for li in operator.metrics().splitlines()
    )


def test_a_broken_secret_is_named_and_the_last_good_certificate_stays(
    kube: Kube, eventually: Eventually, operator_process: Operator
) -> None:
    good = issued()
    kube.apply(secret(good))
    kube.apply(with_tls())
    kube.apply(cluster("sound"))
    eventually(lambda: served(kube) == pem(good), within=40)
    kube.apply(secret({**good, "tls.key": issued()["tls.key"]}))
    said = eventually(
        lambda: (c := certificates_ready(kube)).get("reason") == "CertificateInvalid" and c,
        within=30,
    )
    assert said["status"] == "False"
    assert "Secret devices: tls.key is not the key of the first certificate" in said["message"]
    assert served(kube) == pem(good)
    # A new process must not take the watch's empty beginning for a missing certificate.
    operator_process.kill()
    operator_process.start()
    kube.apply(with_tls())
    kube("annotate", "lcc", "demo", "liveconnect.io/reconcile=now", "--overwrite")
    eventually(lambda: kube.get("lcc", "demo")["status"]["reconciled"] == "now", within=40)
    assert served(kube) == pem(good)
    eventually(lambda: "statefulset.apps/sound-subscriber" in kube.names("statefulsets"))
    better = issued()
    kube.apply(secret(better))
    eventually(lambda: served(kube) == pem(better), within=30)
    eventually(lambda: certificates_ready(kube)["status"] == "True")


def test_without_the_secret_everything_else_goes_on(kube: Kube, eventually: Eventually) -> None:
    kube.apply(with_tls())
    said = eventually(
        lambda: (c := certificates_ready(kube)).get("reason") == "MissingReference" and c
    )
    assert "there is no Secret devices; create it" in said["message"]
    eventually(lambda: "statefulset.apps/demo-subscriber" in kube.names("statefulsets"))
    conf = kube.get("configmap", "demo-subscriber")["data"]["vernemq.conf"]
    template = kube.get("statefulset", "demo-subscriber")["spec"]["template"]
    kube.apply(secret(issued()))
    eventually(lambda: certificates_ready(kube)["status"] == "True", within=30)
    # Recovered without a restart: neither configuration nor pods have changed.
    assert kube.get("configmap", "demo-subscriber")["data"]["vernemq.conf"] == conf
    assert kube.get("statefulset", "demo-subscriber")["spec"]["template"] == template


def test_no_key_reaches_the_log_or_the_status(
    kube: Kube, eventually: Eventually, operator_process: Operator
) -> None:
    content = issued()
    kube.apply(secret(content))
    kube.apply(with_tls())
    eventually(lambda: served(kube) == pem(content), within=40)
    secret_lines = read_key_pair(content).pem.partition("-----BEGIN PRIVATE KEY-----")[2]
    line = secret_lines.strip().splitlines()[0]
    assert line not in operator_process.log.read_text()
    assert line not in str(kube.get("lcc", "demo"))
    assert line not in kube("get", "events", "-o", "yaml")
