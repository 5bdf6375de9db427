"""Which certificates are served, and what is said of them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.adapters.placeholder import make_placeholder
from liveconnect.controller.model.actions import ReloadCertificates
from liveconnect.controller.model.certificate import read_key_pair
from liveconnect.controller.model.credentials import Credentials
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Memory, Observed, PodView, Pool
from liveconnect.controller.planner.certificate_report import (
    certificate_news,
    certificate_rows,
    certificate_verdict,
)
from liveconnect.controller.planner.certificates import (
    RELOAD_INTERVAL,
    Certificates,
    plan_certificates,
)
from liveconnect.controller.rendering import RenderInputs, render
from tests.unit.planner.simulation import SETTINGS, parse

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
AUTHORITY = trustme.CA()
PLACEHOLDER = make_placeholder()
NAMES = Names("demo", "ns")
PAIR = "mqtts.pem"

Secret = dict[str, bytes]


def issued(begin: timedelta = -DAY, end: timedelta = 90 * DAY) -> Secret:
    leaf = AUTHORITY.issue_cert("mqtt.example", not_before=NOW + begin, not_after=NOW + end)
    return {
        "tls.crt": b"".join(blob.bytes() for blob in leaf.cert_chain_pems),
        "tls.key": leaf.private_key_pem.bytes(),
        "ca.crt": AUTHORITY.cert_pem.bytes(),
    }


GOOD, NEWER, OLD = issued(), issued(), issued(-90 * DAY, -DAY)


def cluster(**tls: Any) -> Cluster:
    listener = {"name": "mqtts", "protocol": "MQTTS", "port": 8883}
    return parse({"listeners": [{**listener, "tls": {"secretName": "devices", **tls}}]})


def pods(count: int = 2) -> tuple[PodView, ...]:
    return tuple(
        PodView(
            name=f"demo-subscriber-{n}", pool=Pool.SUBSCRIBER, ip="10.0.0.1", ready=True,
            deleting=False,
        )
        for n in range(count)
    )  # fmt: skip


def planned(
    secrets: Mapping[str, Secret],
    *,
    shown: list[Secret | None] | None = None,
    memory: Memory | None = None,
    now: datetime = NOW,
    **tls: Any,
) -> Certificates:
    """What is planned when the nodes show these certificates (None: the handshake failed)."""
    handshakes = {
        (f"demo-subscriber-{n}", 8883): fingerprint(secret) if secret else ""
        for n, secret in enumerate(shown or [])
    }
    observed = Observed(
        pods=pods(), secrets=secrets, handshakes=handshakes, memory=memory or Memory()
    )
    return plan_certificates(cluster(**tls), NAMES, observed, PLACEHOLDER, now)


def fingerprint(secret: Secret) -> str:
    return read_key_pair(secret).certificate.fingerprint


def pem(secret: Secret) -> str:
    return read_key_pair(secret).pem


def held(pair: str, **more: str) -> Secret:
    return {PAIR: pair.encode(), **{k: v.encode() for k, v in more.items()}}


def said(certificates: Certificates) -> tuple[str, str, str]:
    status, reason, message = certificate_verdict(certificates, NOW)
    return status.value, reason.value, message


def test_a_sound_secret_is_served_as_one_file_certificate_first() -> None:
    made = planned({"devices": GOOD}, shown=[GOOD, GOOD])
    content = made.files[Pool.SUBSCRIBER][PAIR]
    assert content.startswith("-----BEGIN CERTIFICATE-----")
    assert content.count("PRIVATE KEY-----") == 2
    assert said(made) == ("True", "CertificatesValid", "valid on mqtts")
    assert not made.actions


@pytest.mark.parametrize(
    ("secret", "reason", "words"),
    [
        (None, "MissingReference", "there is no Secret devices; create it"),
        ({}, "CertificateInvalid", "has no key tls.crt; add it"),
        ({**GOOD, "tls.crt": b"hello"}, "CertificateInvalid", "tls.crt is no PEM certificate"),
        ({**GOOD, "tls.crt": b""}, "CertificateInvalid", "tls.crt is no PEM certificate"),
        ({**GOOD, "tls.key": b"hello"}, "CertificateInvalid", "tls.key is no PEM private key"),
        ({**GOOD, "tls.key": GOOD["tls.crt"]}, "CertificateInvalid", "is no PEM private key"),
        ({**GOOD, "tls.key": NEWER["tls.key"]}, "CertificateInvalid", "not the key of the first"),
        (OLD, "CertificateExpired", "expired on"),
        (issued(DAY, 2 * DAY), "CertificateExpired", "is valid only from"),
    ],
)  # fmt: skip
def test_a_bad_secret_is_said_and_the_last_good_certificate_stays(
    secret: Secret | None, reason: str, words: str
) -> None:
    secrets = {"demo-subscriber-tls": held(pem(GOOD))}
    if secret is not None:
        secrets["devices"] = secret
    made = planned(secrets, shown=[GOOD, GOOD])
    assert made.files[Pool.SUBSCRIBER][PAIR] == pem(GOOD)
    assert said(made)[:2] == ("False", reason)
    assert words in said(made)[2]
    assert "the last good one is served" in said(made)[2]
    assert said(made)[2].startswith("spec.subscribers.listeners[mqtts].tls.secretName: ")
    assert not made.actions


def test_without_any_good_one_the_placeholder_stands_in() -> None:
    for before in ({}, {"demo-subscriber-tls": held(PLACEHOLDER)}):
        made = planned(before)
        assert made.files[Pool.SUBSCRIBER][PAIR] == PLACEHOLDER
        assert "no certificate that anybody trusts" in said(made)[2]
        assert certificate_rows(made)[0].serial == ""


def test_it_recovers_by_itself_when_the_secret_is_corrected() -> None:
    made = planned({"devices": NEWER, "demo-subscriber-tls": held(PLACEHOLDER)})
    assert made.files[Pool.SUBSCRIBER][PAIR] == pem(NEWER)
    assert said(made)[0] == "True"


def test_an_expired_one_is_served_while_there_is_no_better_one() -> None:
    made = planned({"devices": OLD, "demo-subscriber-tls": held(pem(OLD))})
    assert made.files[Pool.SUBSCRIBER][PAIR] == pem(OLD)
    assert said(made)[:2] == ("False", "CertificateExpired")


def test_a_renewed_one_is_reloaded_where_it_is_not_shown_yet() -> None:
    made = planned({"devices": NEWER}, shown=[NEWER, GOOD])
    assert made.actions == (ReloadCertificates("demo-subscriber-1"),)
    assert certificate_rows(made)[0].served == "1/2"
    assert said(made)[:2] == ("True", "CertificateRenewing")


def test_a_failed_handshake_is_a_reason_to_reload() -> None:
    made = planned({"devices": NEWER}, shown=[NEWER, None])
    assert made.actions == (ReloadCertificates("demo-subscriber-1"),)


def test_reloads_keep_their_distance_and_are_forgotten_when_done() -> None:
    first = planned({"devices": NEWER}, shown=[GOOD, GOOD])
    memory = Memory(reloads=first.reloads)
    soon = NOW + RELOAD_INTERVAL / 2
    second = planned({"devices": NEWER}, shown=[GOOD, GOOD], memory=memory, now=soon)
    assert (len(first.actions), second.actions) == (2, ())
    later = NOW + RELOAD_INTERVAL
    third = planned({"devices": NEWER}, shown=[NEWER, GOOD], memory=memory, now=later)
    assert third.actions == (ReloadCertificates("demo-subscriber-1"),)
    assert set(third.reloads) == {"demo-subscriber-1"}


def test_mutual_tls_without_authorities_refuses_everybody() -> None:
    made = planned({"devices": GOOD}, clientCASecretName="fleet")
    assert made.files[Pool.SUBSCRIBER]["mqtts.ca.pem"] == PLACEHOLDER
    assert said(made)[:2] == ("False", "CertificateInvalid")
    assert "Secret fleet: does not exist; create it; until then every client" in said(made)[2]


def test_authorities_are_taken_and_the_last_good_ones_kept() -> None:
    good = planned({"devices": GOOD, "fleet": GOOD}, clientCASecretName="fleet")
    bundle = good.files[Pool.SUBSCRIBER]["mqtts.ca.pem"]
    assert bundle == AUTHORITY.cert_pem.bytes().decode()
    assert [row.field.rpartition(".")[2] for row in certificate_rows(good)] == [
        "secretName",
        "clientCASecretName",
    ]
    own = held(pem(GOOD), **{"mqtts.ca.pem": bundle})
    bad = planned(
        {"devices": GOOD, "fleet": {"ca.crt": b"?"}, "demo-subscriber-tls": own},
        clientCASecretName="fleet",
    )
    assert bad.files[Pool.SUBSCRIBER]["mqtts.ca.pem"] == bundle
    assert "ca.crt is no PEM certificate" in said(bad)[2]


def test_it_warns_in_time() -> None:
    late = issued(-80 * DAY, 10 * DAY)
    made = planned({"devices": late})
    assert said(made)[:2] == ("True", "CertificateExpiresSoon")
    assert "renew it" in said(made)[2]
    events = certificate_news(made, {}, NOW)
    assert [(kind, reason.value) for kind, reason, _ in events] == [
        ("Warning", "CertificateExpiresSoon")
    ]


def test_events_come_once_and_a_renewal_is_told() -> None:
    before = planned({"devices": GOOD})
    rows = [row.model_dump(mode="json") for row in certificate_rows(before)]
    after = planned({"devices": NEWER})
    ((kind, reason, message),) = certificate_news(after, {"certificates": rows}, NOW)
    assert (kind, reason.value) == ("Normal", "CertificateRenewed")
    assert rows[0]["serial"] in message
    bad = planned({})
    _, why, text = said(bad)
    old = {"conditions": [{"type": "CertificatesReady", "reason": why, "message": text}]}
    assert certificate_news(bad, old, NOW) == ()


def test_no_listener_with_tls_needs_nothing() -> None:
    observed = Observed(pods=pods())
    made = plan_certificates(parse({}), NAMES, observed, "", NOW)
    assert (made.files, made.actions) == ({}, ())
    assert said(made)[:2] == ("True", "NoCertificates")


@given(st.dictionaries(st.sampled_from(["tls.crt", "tls.key", "ca.crt"]), st.binary(max_size=200)))
def test_whatever_a_secret_holds_nothing_breaks_and_nothing_opens(secret: Secret) -> None:
    made = planned({"devices": secret, "fleet": secret}, clientCASecretName="fleet")
    assert made.files[Pool.SUBSCRIBER] == {PAIR: PLACEHOLDER, "mqtts.ca.pem": PLACEHOLDER}
    assert said(made)[0] == "False"


def test_no_key_is_in_any_representation() -> None:
    made = planned({"devices": GOOD}, shown=[GOOD])
    secret = Observed(secrets={"devices": GOOD})
    inputs = RenderInputs(
        credentials=Credentials("c", "k", "p", PLACEHOLDER),
        replicas=dict.fromkeys(Pool, 1),
        certificates=made.files,
    )
    for shown in (repr(made), repr(secret), repr(inputs), repr(read_key_pair(GOOD))):
        assert "PRIVATE" not in shown


def test_listeners_read_both_from_one_file_and_pods_mount_the_pools_own_secret() -> None:
    made = planned({"devices": GOOD, "fleet": GOOD}, clientCASecretName="fleet")
    inputs = RenderInputs(
        credentials=Credentials("c", "k", "p"),
        replicas=dict.fromkeys(Pool, 1),
        certificates=made.files,
    )
    children = {
        (m["kind"], m["metadata"]["name"]): m
        for m in render(cluster(clientCASecretName="fleet"), SETTINGS, inputs)
    }
    conf = children["ConfigMap", "demo-subscriber"]["data"]["vernemq.conf"]
    file = "/etc/liveconnect/tls/mqtts.pem"
    for line in (
        "listener.ssl.mqtts = 0.0.0.0:8883",
        f"listener.ssl.mqtts.certfile = {file}",
        f"listener.ssl.mqtts.keyfile = {file}",
        "listener.ssl.mqtts.cafile = /etc/liveconnect/tls/mqtts.ca.pem",
        "listener.ssl.mqtts.require_certificate = on",
        "listener.ssl.mqtts.tls_version = tlsv1.2,tlsv1.3",
    ):
        assert line in conf.splitlines()
    own = children["Secret", "demo-subscriber-tls"]["data"]
    assert own[PAIR] == b64encode(pem(GOOD).encode()).decode()
    pod = children["StatefulSet", "demo-subscriber"]["spec"]["template"]["spec"]
    assert {"secretName": "demo-subscriber-tls", "defaultMode": 288} in [
        v.get("secret") for v in pod["volumes"]
    ]
    publisher = children["StatefulSet", "demo-publisher"]["spec"]["template"]["spec"]
    assert "tls" not in [v["name"] for v in publisher["volumes"]]
