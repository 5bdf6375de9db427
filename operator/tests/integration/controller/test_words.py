"""Reasons of conditions and events come from one list, and the collector of them misses none."""

from __future__ import annotations

import json

import pytest

from liveconnect.controller.planner.reasons import Reason
from tests.integration.controller.conftest import Eventually, Kube
from tests.integration.controller.test_reconcile import cluster, ready
from tests.integration.controller.words import Words

pytestmark = pytest.mark.integration

_CONDITIONS = {
    "Ready=Waiting",
    "Ready=MissingReference",
    "Ready=Hibernating",
    "PublishersReady=PodTrouble",
    "AuthReady=Creating",
    "MeshVerified=NodesMissing",
    "StorageReady=VolumeRefused",
    "CertificatesReady=NoCertificates",
    "GatewayReady=Hibernated",
    "Progressing=RollingOut",
    "Degraded=Healthy",
    "CredentialsRotating=RotatingApiKey",
    "CredentialsRotating=Idle",
    "Paused=Paused",
    "Paused=Healthy",
    "Hibernated=Awake",
    "Hibernated=Hibernating",
    "AbleToScale=RecommendOnly",
    "ScalingActive=FailedGetMetrics",
}
_EVENTS = {
    "Event=RollingOut",
    "Event=ChildRepaired",
    "Event=RotatingApiKey",
    "Event=Hibernating",
}


def test_the_words_of_a_whole_life_are_of_the_list(
    kube: Kube, eventually: Eventually, words: Words
) -> None:
    jwt = {
        "issuer": "https://issuer.example",
        "audiences": ["devices"],
        "jwksSecretRef": {"name": "keys", "key": "jwks.json"},
    }
    scaling = {"mode": "Recommend", "minReplicas": 1, "maxReplicas": 2}
    body = cluster(auth={"tokens": [{"jwt": jwt}]}, subscribers={"autoscaling": scaling})
    kube.apply(body)
    eventually(lambda: ready(kube)["reason"] == Reason.MISSING_REFERENCE)
    keys = '{"keys": [{"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}]}'
    kube("create", "secret", "generic", "keys", f"--from-literal=jwks.json={keys}")
    eventually(lambda: kube.get("statefulset", "demo-subscriber")["spec"]["replicas"] == 1)
    kube("scale", "statefulset/demo-gateway", "--replicas=5")
    told = ("get", "events", "-o", "jsonpath={.items[*].reason}")
    eventually(lambda: Reason.REPAIRED in kube(*told))
    body["spec"]["broker"]["image"] = "broker:next"
    kube.apply(body)
    kube("annotate", "lcc", "demo", "liveconnect.io/rotate-api-key=1")
    eventually(lambda: {Reason.ROLLING_OUT, Reason.ROTATING_API_KEY} <= set(kube(*told).split()))
    kube("annotate", "lcc", "demo", "liveconnect.io/paused=true")
    eventually(lambda: "Paused=Paused" in words.told("lcc"))
    kube("annotate", "lcc", "demo", "liveconnect.io/paused-")
    patch = json.dumps({"spec": {"hibernate": True}})
    kube("patch", "lcc", "demo", "--type=merge", "-p", patch)

    def lacking() -> set[str]:
        return (_CONDITIONS - words.told("lcc")) | (_EVENTS - words.told("events"))

    def complete() -> bool:
        left = lacking()
        if left:
            raise LookupError(sorted(left))
        return True

    eventually(complete, within=60)
    assert not words.unknown()
