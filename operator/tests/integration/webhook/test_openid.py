"""Tokens of a certified OpenID provider: JWTs by discovery, opaque tokens by introspection."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.webhook.openid.provider import (
    CLIENT,
    SECRET,
    OpenIdProvider,
    running_provider,
    signing_keys,
)
from tests.integration.webhook.world import (
    JwksServer,
    Keys,
    Redis,
    Service,
    World,
    eventually,
    running_service,
    write_config,
)

REFUSED = {"result": {"error": "not_allowed"}}
JWT, OPAQUE = "urn:devices", "urn:opaque"
CACHE_SECONDS = 2


@dataclass(frozen=True)
class Scene:
    """A provider, and an auth service that knows it."""

    provider: OpenIdProvider
    world: World


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """For tests that break nothing."""
    yield from make_scene(tmp_path_factory.mktemp("openid"))


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Scene]:
    """For a test that breaks something."""
    yield from make_scene(tmp_path)


def make_scene(folder: Path) -> Iterator[Scene]:
    with running_provider(folder) as provider:
        for world in make_world(folder, provider):
            yield Scene(provider, world)


def make_world(folder: Path, provider: OpenIdProvider) -> Iterator[World]:
    """Three providers side by side: discovered, a key set, introspected."""
    issuer, cluster, redis = Keys("device-1"), Keys("cluster-1"), Redis(folder)
    jwks = JwksServer({"/devices": issuer.document, "/cluster": cluster.document})
    secret = folder / "client-secret"
    secret.write_text(f"{SECRET}\n")
    claims = {"client_id_claim": "device", "subject_claim": "customer"}
    redis.start()
    try:
        with jwks.running():
            discovered = {
                **claims,
                "issuer": provider.issuer,
                "audiences": ["devices"],
                "algorithms": ["RS256", "PS256", "ES256", "EdDSA"],
                "leeway_seconds": 2,
            }
            fixed = {
                "issuer": "https://login.example",
                "audiences": ["liveconnect-devices"],
                "algorithms": ["RS256"],
                "client_id_claim": "client_id",
                "leeway_seconds": 2,
                "jwks_uri": f"{jwks.url}/devices",
            }
            asked = {
                **claims,
                "url": provider.introspection,
                "client_id": CLIENT,
                "client_secret_file": str(secret),
                "audiences": ["opaque"],
                "cache_seconds": CACHE_SECONDS,
            }
            config = write_config(
                folder, jwks, redis, cluster,
                providers=[discovered, fixed],
                introspection=[asked],
                topics=[{"filter": "orders/{claims.customer}/#", "allow": ["subscribe"]}],
            )  # fmt: skip
            with running_service(folder, config) as service:
                yield World(folder, issuer, cluster, jwks, redis, service)
    finally:
        redis.stop()


def connects(service: Service, token: str, client_id: str = "phone-1") -> bool:
    answer = service.connect(token, client_id)
    if answer == REFUSED:
        return False
    assert answer["result"] == "ok"
    assert 500 < answer["modifiers"]["max_connection_lifetime"] <= 600
    return True


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"])
def test_its_jwts_are_verified_with_keys_that_were_discovered(shared: Scene, alg: str) -> None:
    provider, world = shared.provider, shared.world
    token = provider.token("phone-1", "42", "gold", resource=f"{JWT}:{alg}")
    assert connects(world.service, token)
    assert not connects(world.service, token, "phone-2")


def test_its_opaque_tokens_are_asked_about_once_in_a_while(shared: Scene) -> None:
    provider, world = shared.provider, shared.world
    token = provider.token("phone-1", "42", "gold", resource=OPAQUE)
    assert "." not in token
    for _ in range(10):
        assert connects(world.service, token)
    assert not connects(world.service, token, "phone-2")
    subscribe: dict[str, Any] = {
        "client_id": "phone-1",
        "mountpoint": "",
        "username": token,
        "topics": [{"topic": "orders/43/#", "qos": 1}, {"topic": "orders/42/#", "qos": 1}],
    }
    answer = world.service.hook("auth_on_subscribe", subscribe).json
    assert [topic["qos"] for topic in answer["topics"]] == [128, 1]


def test_providers_stand_side_by_side(shared: Scene) -> None:
    provider, world = shared.provider, shared.world
    assert connects(world.service, provider.token("phone-1", resource=JWT))
    assert connects(world.service, provider.token("phone-1", resource=OPAQUE))
    assert world.service.connect(world.device())["result"] == "ok"


@pytest.mark.parametrize("token", ["x" * 43, "user", "x y", "é" * 43, "x" * 20_000, "{}"])
def test_what_the_provider_does_not_know_is_refused(shared: Scene, token: str) -> None:
    world = shared.world
    assert not connects(world.service, token)


def test_a_jwt_of_nobody_is_not_asked_about(shared: Scene) -> None:
    world = shared.world
    assert world.service.connect(world.device(iss="https://other.example")) == REFUSED


def test_revocation_at_the_provider_reaches_us_when_the_answer_is_old(shared: Scene) -> None:
    provider, world = shared.provider, shared.world
    token = provider.token("phone-1", resource=OPAQUE)
    assert connects(world.service, token)
    provider.revoke(token)
    eventually(lambda: not connects(world.service, token), within=CACHE_SECONDS + 3)


def test_keys_rotate_at_the_provider(own: Scene) -> None:
    provider, world = own.provider, own.world
    old = provider.token("phone-1", resource=JWT)
    assert connects(world.service, old)
    provider.stop()
    assert connects(world.service, old), "its keys stay while it is away"
    provider.keys = [*signing_keys("2"), *provider.keys]
    provider.start()
    new = provider.token("phone-1", resource=JWT)
    eventually(lambda: connects(world.service, new), within=15)
    assert connects(world.service, old), "a key that is still published goes on"


def test_a_provider_that_hangs_is_left_alone(own: Scene) -> None:
    provider, world = own.provider, own.world
    known = provider.token("phone-1", resource=JWT)
    assert connects(world.service, known)
    provider.freeze()
    began = time.monotonic()
    while time.monotonic() - began < 60:
        asked = time.monotonic()
        assert world.service.connect("opaque-token-that-nobody-asked-about") == REFUSED
        seconds = time.monotonic() - asked
        assert seconds < 4.5, "VerneMQ gives up after 5 s"
        if seconds < 0.5:
            break
    else:
        pytest.fail("every answer was waited for")
    assert connects(world.service, known), "what needs no question goes on"
    provider.thaw()
    fresh = provider.token("phone-1", resource=OPAQUE)
    eventually(lambda: connects(world.service, fresh), within=40)


def test_a_wrong_client_secret_opens_nothing_and_can_be_put_right(own: Scene) -> None:
    provider, world = own.provider, own.world
    secret = world.folder / "client-secret"
    secret.write_text("wrong")
    token = provider.token("phone-1", resource=OPAQUE)
    assert not connects(world.service, token)
    text = world.service.log.read_text()
    assert "tokens cannot be introspected" in text
    assert "HTTP 401" in text
    secret.write_text(SECRET)
    eventually(lambda: connects(world.service, token), within=10)


def test_neither_token_nor_secret_is_logged(own: Scene) -> None:
    provider, world = own.provider, own.world
    tokens = [provider.token("phone-1", resource=resource) for resource in (JWT, OPAQUE)]
    for token in tokens:
        connects(world.service, token)
        connects(world.service, token, "phone-2")
        connects(world.service, token[:-2])
    provider.stop()
    connects(world.service, tokens[1] + "x")
    text = world.service.log.read_text()
    assert SECRET not in text
    for token in tokens:
        assert token not in text
        assert token[10:40] not in text


def metric(service: Service, name: str, *labels: str) -> float:
    lines = service.request("GET", "/metrics").body.decode().splitlines()
    found = [line for line in lines if line.startswith(name) and all(x in line for x in labels)]
    assert found, f"no {name} with {labels}"
    return sum(float(line.rpartition(" ")[2]) for line in found)


def test_providers_health_and_memory_can_be_seen(own: Scene) -> None:
    provider, service = own.provider, own.world.service
    jwt, opaque = (provider.token("phone-1", resource=resource) for resource in (JWT, OPAQUE))
    asked = f'provider="{provider.introspection}"'
    issued = f'provider="{provider.issuer}"'
    for _ in range(3):
        assert connects(service, jwt)
        assert connects(service, opaque)
    assert metric(service, "liveconnect_webhook_token_checks", 'source="memory"') >= 2
    assert metric(service, "liveconnect_webhook_introspections_total", asked, '"server"') == 1
    assert metric(service, "liveconnect_webhook_introspections_total", asked, '"memory"') >= 2
    for labels in (asked, issued):
        assert metric(service, "liveconnect_webhook_provider_up", labels) == 1
        assert metric(service, "liveconnect_webhook_provider_failures_total", labels) == 0
    assert metric(service, "liveconnect_webhook_provider_keys_age_seconds", issued) < 60
    assert metric(service, "liveconnect_webhook_issuer_keys", provider.issuer) == 3
    count = 'hook="auth_on_register"'
    assert metric(service, "liveconnect_webhook_hook_duration_seconds_count", count) >= 6
    provider.stop()
    for number in range(6):
        assert not connects(service, f"opaque-{number}")
    assert metric(service, "liveconnect_webhook_provider_up", asked) == 0
    assert metric(service, "liveconnect_webhook_provider_failures_total", asked) == 5
    refused = ('outcome="refused"', 'reason="token-provider-unavailable"')
    assert metric(service, "liveconnect_webhook_decisions_total", *refused) == 6
    assert service.request("GET", "/readyz").status == 200, "the others' tokens can be checked"
