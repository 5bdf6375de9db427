"""Opaque tokens: for how long an answer holds, and who is asked."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk, jwt

from liveconnect.api.operands import IntrospectionProvider
from liveconnect.common.breaker import Breaker
from liveconnect.common.jwks import KeyCache
from liveconnect.common.tokens import Issuer, TokenFault, TokenKind, TokenVerifier, Verified
from liveconnect.webhook.adapters.introspection_endpoint import IntrospectionError
from liveconnect.webhook.identities import Identities
from liveconnect.webhook.introspection import Introspection, judge

NOW = 1_700_000_000.0
GOOD: dict[str, Any] = {
    "active": True,
    "exp": NOW + 600,
    "sub": "42",
    "client_id": "phone-1",
    "aud": ["lc"],
    "groups": ["gold", "beta"],
    "jti": "t1",
    "iat": NOW - 5,
}


def provider(**more: Any) -> IntrospectionProvider:
    full = {"url": "https://as/i", "client_id": "c", "client_secret_file": "/x", **more}
    return IntrospectionProvider(**full)


class Endpoint:
    """A server that answers what it is told to."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.away = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def ask(self, token: str) -> dict[str, Any]:
        self.asked.append(token)
        await self.gate.wait()
        if self.away:
            raise IntrospectionError("away")
        return dict(self.answers.get(token, {"active": False}))


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def ask(one: Introspection, token: str, now: float = NOW) -> Verified | TokenFault:
    return await one.ask(token, digest(token), now)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ({}, TokenFault.INACTIVE),
        ({"active": False}, TokenFault.INACTIVE),
        ({**GOOD, "active": "true"}, TokenFault.INACTIVE),
        ({**GOOD, "active": 1}, TokenFault.INACTIVE),
        ({"active": True}, TokenFault.CLAIMS),
        ({**GOOD, "exp": None}, TokenFault.CLAIMS),
        ({**GOOD, "exp": NOW - 6}, TokenFault.EXPIRED),
        ({**GOOD, "nbf": NOW + 6}, TokenFault.NOT_YET_VALID),
        ({**GOOD, "aud": "other"}, TokenFault.AUDIENCE),
        ({**GOOD, "iss": "https://other"}, TokenFault.ISSUER),
        ({**GOOD, "iss": 1}, TokenFault.ISSUER),
        ({**GOOD, "sub": ["42"]}, TokenFault.CLAIMS),
    ],
)
def test_answers_that_prove_nothing(answer: dict[str, Any], fault: TokenFault) -> None:
    assert judge(provider(issuer="https://as", audiences=["lc"]), answer, NOW) is fault


def test_a_good_answer_says_who_it_is() -> None:
    verified = judge(provider(audiences=["lc"]), GOOD, NOW)
    assert isinstance(verified, Verified)
    assert verified.kind is TokenKind.DEVICE
    assert (verified.subject, verified.groups) == ("42", frozenset({"gold", "beta"}))
    assert (verified.token_id, verified.issued_at) == ("t1", NOW - 5)
    assert verified.expires_at == NOW + 600


def test_subject_and_groups_may_have_other_names() -> None:
    named = provider(subject_claim="customer", groups_claim="roles")
    verified = judge(named, {**GOOD, "customer": "7", "roles": ["gold"]}, NOW)
    assert isinstance(verified, Verified)
    assert (verified.subject, verified.groups) == ("7", frozenset({"gold"}))


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), st.none() | st.integers() | st.text()))
def test_no_strange_answer_crashes_or_opens(answer: dict[str, Any]) -> None:
    assert isinstance(judge(provider(), answer, NOW), TokenFault)


async def test_a_good_answer_holds_until_the_bound() -> None:
    server = Endpoint(t=GOOD)
    one = Introspection(provider(cache_seconds=60), server)
    first = await ask(one, "t")
    assert await ask(one, "t", NOW + 59) is first
    assert server.asked == ["t"]
    assert one.check(digest("t"), NOW + 60) is TokenFault.NOT_ASKED_YET
    server.answers.clear()
    assert await ask(one, "t", NOW + 60) is TokenFault.INACTIVE


async def test_a_good_answer_never_outlives_its_token() -> None:
    server = Endpoint(t={**GOOD, "exp": NOW + 10})
    one = Introspection(provider(cache_seconds=60, leeway_seconds=0), server)
    assert isinstance(await ask(one, "t"), Verified)
    assert one.check(digest("t"), NOW + 9) is not TokenFault.NOT_ASKED_YET
    assert one.check(digest("t"), NOW + 10) is TokenFault.NOT_ASKED_YET
    assert await ask(one, "t", NOW + 10) is TokenFault.EXPIRED


async def test_a_refusal_holds_for_some_seconds_only() -> None:
    server = Endpoint()
    one = Introspection(provider(), server)
    for second in range(5):
        assert await ask(one, "t", NOW + second) is TokenFault.INACTIVE
    assert server.asked == ["t"]
    server.answers["t"] = GOOD
    assert isinstance(await ask(one, "t", NOW + 5), Verified)
    assert isinstance(one.check(digest("t"), NOW + 6), Verified)


async def test_all_who_wait_share_one_question() -> None:
    server = Endpoint(t=GOOD)
    server.gate.clear()
    one = Introspection(provider(), server)
    waiting = [asyncio.create_task(ask(one, "t")) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    server.gate.set()
    assert all(isinstance(found, Verified) for found in await asyncio.gather(*waiting[1:]))
    assert server.asked == ["t"]


async def test_a_server_that_fails_is_left_alone_and_asked_again_later() -> None:
    server, clock = Endpoint(t=GOOD), [0.0]
    server.away = True
    one = Introspection(
        provider(), server, breaker=Breaker(failures=3, pause=10), clock=lambda: clock[0]
    )
    for number in range(20):
        assert await ask(one, f"x{number}") is TokenFault.PROVIDER_UNAVAILABLE
    assert len(server.asked) == 3
    assert not one.available
    server.away = False
    assert await ask(one, "t") is TokenFault.PROVIDER_UNAVAILABLE
    clock[0] = 10
    assert isinstance(await ask(one, "t"), Verified)
    assert one.available
    assert one.fault is None


async def test_a_failure_is_no_refusal() -> None:
    """A token that could not be asked about is asked about again at once."""
    server = Endpoint(t=GOOD)
    server.away = True
    one = Introspection(provider(), server)
    assert await ask(one, "t") is TokenFault.PROVIDER_UNAVAILABLE
    server.away = False
    assert isinstance(await ask(one, "t"), Verified)


async def test_what_is_known_stays_while_the_server_is_away() -> None:
    server = Endpoint(t=GOOD)
    one = Introspection(provider(cache_seconds=60), server)
    await ask(one, "t")
    server.away = True
    assert isinstance(await ask(one, "t", NOW + 30), Verified)
    assert await ask(one, "t", NOW + 61) is TokenFault.PROVIDER_UNAVAILABLE


# --- several providers

RSA = jwk.RSAKey.generate_key(2048, {"kid": "rsa"})


class Keys:
    """A key set in memory."""

    name = "memory"
    poll_seconds = 1.0

    async def fetch(self) -> bytes:
        return json.dumps({"keys": [RSA.as_dict(private=False)]}).encode()


async def identities(*servers: Introspection) -> Identities:
    issuer = Issuer(
        kind=TokenKind.DEVICE,
        name=lambda: "https://i",
        audiences=frozenset({"lc"}),
        algorithms=frozenset({"RS256"}),
        leeway_seconds=0,
        keys=KeyCache(Keys()),
        client_id_claim="client_id",
    )
    await issuer.keys.refresh()
    return Identities(TokenVerifier([issuer]), servers)


def signed(**claims: Any) -> str:
    full = {"iss": "https://i", "aud": "lc", "exp": NOW + 60, **claims}
    return jwt.encode({"alg": "RS256", "kid": "rsa"}, full, RSA)


async def test_a_jwt_of_a_known_issuer_is_nobody_elses_business() -> None:
    server = Endpoint()
    both = await identities(Introspection(provider(), server))
    assert isinstance(both.check(signed(), NOW), Verified)
    for bad in (signed(aud="x"), signed(exp=NOW - 1), signed()[:-4] + "AAAA", signed(iss="x")):
        assert isinstance(await both.check_with_news(bad, NOW), TokenFault)
    assert server.asked == []


async def test_jwts_of_an_issuer_that_is_introspected_are_asked_about() -> None:
    token = signed(iss="https://as")
    server = Endpoint(**{token: GOOD})
    both = await identities(Introspection(provider(issuer="https://as"), server))
    assert both.check(token, NOW) is TokenFault.NOT_ASKED_YET
    assert isinstance(await both.check_with_news(token, NOW), Verified)
    assert isinstance(both.check(token, NOW), Verified)


async def test_servers_are_asked_in_order_until_one_knows_the_token() -> None:
    first, second, third = Endpoint(), Endpoint(t=GOOD), Endpoint()
    servers = [Introspection(provider(), server) for server in (first, second, third)]
    both = await identities(*servers)
    assert isinstance(await both.check_with_news("t", NOW), Verified)
    assert (first.asked, second.asked, third.asked) == (["t"], ["t"], [])
    assert isinstance(both.check("t", NOW), Verified)
    first.away = True
    assert await both.check_with_news("u", NOW) is TokenFault.PROVIDER_UNAVAILABLE


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "é", "x" * 20_000, None])
async def test_what_no_token_can_be_is_not_asked_about(token: str | None) -> None:
    server = Endpoint()
    both = await identities(Introspection(provider(), server))
    assert isinstance(await both.check_with_news(token, NOW), TokenFault)
    assert server.asked == []
