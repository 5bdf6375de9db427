"""Who gets in, asked as VerneMQ asks, of the real process."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest

from tests.integration.webhook.world import (
    CLUSTER_ISSUER,
    ISSUER,
    READER,
    Keys,
    World,
    device_claims,
)

REFUSED = {"result": {"error": "not_allowed"}}


def encode(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("m5", [False, True])
def test_a_device_gets_in_for_as_long_as_its_token_lives(world: World, m5: bool) -> None:
    token = world.device(exp=int(time.time()) + 100)
    for _ in range(2):  # the second time from memory
        answer = world.service.connect(token, m5=m5)
        assert answer["result"] == "ok"
        assert set(answer["modifiers"]) == {"max_connection_lifetime"}
        assert 85 <= answer["modifiers"]["max_connection_lifetime"] <= 100


@pytest.mark.parametrize("m5", [False, True])
@pytest.mark.parametrize("pool", ["subscriber", "publisher"])
@pytest.mark.parametrize("username", [None, "", "user", "a.b.c", "Bearer x"])
def test_nobody_gets_in_without_a_token(
    world: World, username: str | None, pool: str, m5: bool
) -> None:
    assert world.service.connect(username, pool=pool, m5=m5) == REFUSED


def bad_tokens(world: World) -> dict[str, str]:
    now = int(time.time())
    good = world.device()
    head, payload, _ = good.split(".")
    stranger = Keys(world.issuer.kid)
    public = world.issuer.key.as_pem(private=False)
    confused = f"{encode({'alg': 'HS256', 'kid': world.issuer.kid})}.{payload}"
    mac = hmac.new(public, confused.encode(), hashlib.sha256).digest()
    return {
        "expired": world.device(exp=now - 10),
        "not yet valid": world.device(nbf=now + 60),
        "never expires": world.issuer.sign(
            {name: value for name, value in device_claims().items() if name != "exp"}
        ),
        "wrong signature": stranger.sign(device_claims()),
        "no signature": f"{head}.{payload}.",
        "wrong key id": world.issuer.sign(device_claims(), kid="unheard-of"),
        "wrong audience": world.device(aud="other"),
        "wrong issuer": world.device(iss="https://other.example"),
        "the cluster's issuer, signed by the devices'": world.device(iss=CLUSTER_ISSUER),
        "the devices' issuer, signed by the cluster's": world.cluster.sign(device_claims()),
        "alg none": f"{encode({'alg': 'none'})}.{payload}.",
        "hmac with the public key": f"{confused}."
        + base64.urlsafe_b64encode(mac).rstrip(b"=").decode(),
        "brings its own key": stranger.sign(
            device_claims(), jwk=stranger.key.as_dict(private=False)
        ),
        "another client's": world.device("phone-2"),
        "no client id": world.issuer.sign(device_claims() | {"client_id": None}),
        "too long": world.device(filler="x" * 20_000),
        "a backend's": world.backend(),
    }


def test_no_bad_token_gets_in(world: World) -> None:
    for what, token in bad_tokens(world).items():
        for m5 in (False, True):
            assert world.service.connect(token, m5=m5) == REFUSED, what


def test_a_devices_token_opens_nothing_on_the_publisher_pool(world: World) -> None:
    token = world.device()
    assert world.service.connect(token, pool="publisher") == REFUSED
    assert world.service.connect(token, pool="subscriber")["result"] == "ok"


def test_a_backend_that_the_object_names_connects_to_the_publisher_pool(world: World) -> None:
    answer = world.service.connect(world.backend(), "orders-1", pool="publisher")
    assert answer["result"] == "ok"
    assert 1 <= answer["modifiers"]["max_connection_lifetime"] <= 600
    assert world.service.connect(world.backend(READER), "x", pool="publisher") == REFUSED
    stranger = world.backend("system:serviceaccount:other:orders")
    assert world.service.connect(stranger, "x", pool="publisher") == REFUSED
    assert world.service.connect(world.backend(aud="other"), "x", pool="publisher") == REFUSED


def test_the_clusters_keys_are_read_with_our_own_token(world: World) -> None:
    seen = dict(world.jwks.requests)
    assert seen["/cluster"].startswith("Bearer eyJ")
    assert seen["/devices"] == ""


def test_keys_rotate_without_an_outage(own_world: World) -> None:
    world = own_world
    old = world.device()
    assert world.service.connect(old)["result"] == "ok"
    overlap = Keys("device-2", "EC")
    first = world.issuer.key
    world.jwks.documents["/devices"] = lambda: json.dumps(
        {"keys": [first.as_dict(private=False), overlap.key.as_dict(private=False)]}
    ).encode()
    # An unknown key id asks for news at most every ten seconds; the last time was at the start.
    assert world.service.request("GET", "/readyz").status == 200
    deadline = time.monotonic() + 15
    new = overlap.sign(device_claims())
    while (answer := world.service.connect(new)) == REFUSED and time.monotonic() < deadline:
        assert world.service.connect(old)["result"] == "ok"
    assert answer["result"] == "ok"
    fetches = [path for path, _ in world.jwks.requests if path == "/devices"]
    assert len(fetches) <= 3, "an unknown key id must not turn us against the issuer"


def test_with_the_issuer_away_the_keys_stay(own_world: World) -> None:
    world = own_world
    world.jwks.failing = True
    assert world.service.connect(world.device())["result"] == "ok"
    assert world.service.connect(world.issuer.sign(device_claims(), kid="new")) == REFUSED
    assert world.service.connect(world.device())["result"] == "ok"
    assert world.service.request("GET", "/readyz").status == 200


def test_no_token_is_ever_logged_and_every_refusal_is(own_world: World) -> None:
    world = own_world
    tokens = bad_tokens(world)
    for token in tokens.values():
        world.service.connect(token)
        world.service.client("x", token)
    world.service.connect(None)
    text = world.service.log.read_text()
    for token in [*tokens.values(), (world.folder / "token").read_text()]:
        for part in token.split("."):
            assert len(part) < 8 or part not in text
    refusals = [entry for entry in world.service.logs() if entry["message"] == "refused"]
    assert len(refusals) == len(tokens) + 1
    assert {entry["client_id"] for entry in refusals} == {"phone-1"}
    assert {entry["pool"] for entry in refusals} == {"subscriber"}
    assert {entry["reason"] for entry in refusals} >= {
        "token-missing",
        "token-expired",
        "token-not-yet-valid",
        "token-claims",
        "token-signature",
        "token-key",
        "token-audience",
        "token-issuer",
        "token-algorithm",
        "token-too-long",
        "client-id",
        "backend-on-subscriber-pool",
    }
    metrics = world.service.request("GET", "/metrics").body.decode()
    assert (
        'liveconnect_webhook_decisions_total{hook="auth_on_register",outcome="refused",'
        'pool="subscriber",reason="token-expired"} 1.0' in metrics
    )
    assert ISSUER in metrics
