"""TLS between the brokers and the auth service: both ends, and how nodes change over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.credentials import Credentials
from liveconnect.controller.model.manifest import ObjectKey
from liveconnect.controller.model.observed import Observed, Pool
from liveconnect.controller.planner.certificate_report import certificate_verdict
from liveconnect.controller.planner.certificates import Certificates, plan_certificates
from liveconnect.controller.planner.service_certificates import with_hooks
from liveconnect.controller.rendering import RenderInputs, render
from tests.unit.planner.simulation import SETTINGS, World, parse
from tests.unit.planner.test_certificates import NAMES, NOW, PLACEHOLDER, Secret
from tests.unit.planner.test_publisher_certificates import issued
from tests.unit.planner.test_rollout import change

HOST = "demo-auth.ns.svc"
SOUND = issued(HOST)
CA_FILE = "hooks-ca.crt"


def asked() -> Cluster:
    body = parse({})
    spec = body.spec.model_dump(exclude_none=True)
    spec["auth"]["tls"] = {"secretName": "auth"}
    return body.model_copy(update={"spec": type(body.spec).model_validate(spec)})


def planned(secrets: Mapping[str, Secret]) -> Certificates:
    observed, cluster = Observed(secrets=secrets), asked()
    made = plan_certificates(cluster, NAMES, observed, PLACEHOLDER, NOW)
    return with_hooks(made, cluster, NAMES, observed, PLACEHOLDER, NOW)


def test_both_ends_get_their_files() -> None:
    made = planned({"auth": SOUND})
    assert made.hooks is not None
    assert set(made.hooks) == {"tls.crt", "tls.key", "ca.crt"}
    authorities = SOUND["ca.crt"].decode()
    assert made.files == {pool: {CA_FILE: authorities} for pool in Pool}
    assert made.hooks["ca.crt"] == authorities
    assert certificate_verdict(made, NOW)[0].value == "True"


def test_without_a_sound_certificate_the_hooks_fail_and_nobody_gets_in() -> None:
    made = planned({})
    assert made.files == {pool: {CA_FILE: PLACEHOLDER} for pool in Pool}
    assert made.hooks is not None
    assert made.hooks["tls.crt"] + made.hooks["tls.key"] == PLACEHOLDER
    status, _, message = certificate_verdict(made, NOW)
    assert status.value == "False"
    assert "spec.auth.tls.secretName: there is no Secret auth; create it" in message


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (issued("other.example"), f"is not for {HOST}; add this DNS name"),
        ({k: v for k, v in SOUND.items() if k != "ca.crt"}, "has no key ca.crt; add it"),
    ],
)
def test_what_the_brokers_could_not_verify_is_said(secret: Secret, words: str) -> None:
    status, _, message = certificate_verdict(planned({"auth": secret}), NOW)
    assert status.value == "False"
    assert words in message


def test_the_last_good_ones_stay() -> None:
    good = planned({"auth": SOUND})
    assert good.hooks is not None
    held = {key: value.encode() for key, value in good.hooks.items()}
    pool = {CA_FILE: SOUND["ca.crt"]}
    made = planned({"demo-auth-tls": held, "demo-subscriber-tls": pool})
    assert (made.hooks, made.files) == (good.hooks, good.files)


def rendered(cluster: Cluster) -> dict[tuple[str, str], Any]:
    made = planned({"auth": SOUND})
    inputs = RenderInputs(
        credentials=Credentials("c", "k", "p"),
        replicas=dict.fromkeys(Pool, 1),
        certificates=made.files,
        hooks_certificate=made.hooks,
    )
    return {(m["kind"], m["metadata"]["name"]): m for m in render(cluster, SETTINGS, inputs)}


def test_nodes_ask_by_tls_and_the_plain_port_stays_for_those_that_do_not_yet() -> None:
    children = rendered(asked())
    for pool in Pool:
        conf = children["ConfigMap", NAMES.pool(pool)]["data"]["vernemq.conf"].splitlines()
        assert "vmq_webhooks.cafile = /etc/liveconnect/tls/hooks-ca.crt" in conf
        assert "vmq_webhooks.use_crls = off" in conf
        endpoints = [line for line in conf if ".endpoint = " in line]
        assert all(f"= https://{HOST}:8444/hooks/" in line for line in endpoints)
    ports = children["Service", "demo-auth"]["spec"]["ports"]
    assert [port["port"] for port in ports] == [8081, 8444, 8443]
    rules = children["NetworkPolicy", "demo-auth"]["spec"]["ingress"]
    assert {8081, 8444} <= {port["port"] for rule in rules for port in rule["ports"]}


def test_nodes_change_over_only_when_the_auth_service_has() -> None:
    auth = ObjectKey("apps/v1", "Deployment", "ns", "demo-auth")
    world = World(asked(), late={auth})
    world.settle()
    change(world, "broker:new")
    for _ in range(20):
        world.step()
    assert world.deletions == []
    generation = world.children[auth]["metadata"]["generation"]
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), 2)
    world.children[auth]["status"] = {"observedGeneration": generation, **counts}
    for _ in range(60):
        world.step()
    assert world.deletions
