"""What Secrets must hold, and which field is blamed when Kubernetes refuses a child."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hack.golden import rendered
from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.references import is_mounted, references
from liveconnect.controller.planner.refusals import INDEPENDENT, blamed

SECRET = "s3cret-Value"
SPEC: dict[str, Any] = {
    "broker": {"image": "b:1", "imagePullSecrets": [{"name": "registry"}]},
    "auth": {
        "tokens": [
            {
                "jwt": {
                    "issuer": "i",
                    "audiences": ["a"],
                    "jwksSecretRef": {"name": "keys", "key": "k"},
                }
            },
            {
                "introspection": {
                    "url": "https://i/introspect",
                    "clientID": "c",
                    "clientSecretRef": {"name": "client", "key": "k"},
                }
            },
        ]
    },
    "presence": {"store": {"external": {"urlSecretRef": {"name": "store", "key": "k"}}}},
}


def cluster(**spec: Any) -> Cluster:
    meta = {"name": "demo", "namespace": "ns", "uid": "u", "generation": 1}
    return Cluster.parse({"metadata": meta, "spec": {**SPEC, **spec}})


BY_SECRET = {one.secret: one for one in references(cluster())}


def test_every_reference_is_looked_at_and_pull_secrets_restart_nothing() -> None:
    assert BY_SECRET.keys() == {"keys", "client", "store", "registry"}
    assert {name for name, one in BY_SECRET.items() if not is_mounted(one)} == {"registry"}


@pytest.mark.parametrize("one", BY_SECRET.values(), ids=BY_SECRET.keys())
def test_a_secret_or_key_that_is_missing(one: Any) -> None:
    assert one.problem(None) == f"{one.field}: there is no Secret {one.secret}; create it"
    assert one.problem({}) == f"{one.field}: Secret {one.secret} has no key {one.key}; add it"


@pytest.mark.parametrize(
    ("secret", "content"),
    [
        ("keys", b'{"keys": [{"kty": "RSA"}]}'),
        ("client", SECRET.encode()),
        ("client", f"{SECRET}\n".encode()),
        ("store", b"redis://:pass@store:6379/0"),
        ("store", b"rediss://store\n"),
        ("registry", b'{"auths": {"r.example.com": {}}}'),
    ],
)
def test_what_is_right_is_not_complained_of(secret: str, content: bytes) -> None:
    one = BY_SECRET[secret]
    assert not one.problem({one.key: content})


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(BY_SECRET)), st.binary(max_size=40))
def test_whatever_a_secret_holds_is_never_said(secret: str, content: bytes) -> None:
    one = BY_SECRET[secret]
    hidden = content + SECRET.encode() + content
    said = one.problem({one.key: hidden})
    assert SECRET not in said
    assert not said or said.startswith(f"{one.field}: key {one.key} of Secret {secret} ")


@pytest.mark.parametrize(
    ("name", "kind", "field"),
    [
        ("demo-publisher", "StatefulSet", "spec.publishers.podTemplate"),
        ("demo-auth", "Deployment", "spec.auth"),
        ("demo-gateway", "StatefulSet", "spec.gateway"),
        ("demo-subscriber", "Service", "spec.subscribers.listeners and spec.subscribers.service"),
        ("demo-publisher", "Service", ""),
        ("demo-publisher", "NetworkPolicy", ""),
    ],
)
def test_the_field_that_is_blamed(name: str, kind: str, field: str) -> None:
    made = cluster(publishers={"podTemplate": {"spec": {"nodeSelector": {"a": "b"}}}})
    manifest = next(
        m for m in rendered(made) if m["metadata"]["name"] == name and m["kind"] == kind
    )
    assert blamed(made, manifest) == field


def test_nothing_waits_for_a_child_that_may_be_refused() -> None:
    assert not INDEPENDENT & {"ConfigMap", "Secret", "ServiceAccount"}
