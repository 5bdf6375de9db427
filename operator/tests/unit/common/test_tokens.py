"""Tokens: what proves somebody, and all that does not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk, jwt

from liveconnect.api.v1alpha1 import Algorithm
from liveconnect.common.jose import MAX_TOKEN_BYTES
from liveconnect.common.jwks import KeyCache, KeySetError, accepted_algorithms
from liveconnect.common.tokens import (
    Issuer,
    TokenFault,
    TokenKind,
    TokenRefusedError,
    TokenVerifier,
    Verified,
)

NOW = 1_700_000_000.0
RSA = jwk.RSAKey.generate_key(2048, {"kid": "rsa"})
OTHER_RSA = jwk.RSAKey.generate_key(2048, {"kid": "rsa"})
EC = jwk.ECKey.generate_key("P-256", {"kid": "ec"})
ED = jwk.OKPKey.generate_key("Ed25519", {"kid": "ed"})
DEEP = b'{"alg":' * 1500
NOT_UTF8 = b"\xff"


class Source:
    """A key set in memory."""

    name = "memory"
    poll_seconds = 1.0

    def __init__(self, *keys: Any) -> None:
        self.keys = list(keys)
        self.fetches = 0
        self.away = False

    async def fetch(self) -> bytes:
        self.fetches += 1
        if self.away:
            raise KeySetError("away")
        return json.dumps({"keys": [key.as_dict(private=False) for key in self.keys]}).encode()


def issuer(source: Source, **more: Any) -> Issuer:
    full: dict[str, Any] = {
        "kind": TokenKind.DEVICE,
        "name": lambda: "https://i",
        "audiences": frozenset({"lc", "lc2"}),
        "algorithms": accepted_algorithms([Algorithm.RS256, Algorithm.ES256, Algorithm.EDDSA]),
        "leeway_seconds": 5,
        "keys": KeyCache(source, refetch_after=0, retry_after=0),
        "client_id_claim": "client_id",
        **more,
    }
    return Issuer(**full)


async def loaded(*keys: Any, **more: Any) -> TokenVerifier:
    one = issuer(Source(*keys or (RSA, EC, ED)), **more)
    await one.keys.refresh()
    return TokenVerifier([one])


def claims(**more: Any) -> dict[str, Any]:
    full = {"iss": "https://i", "aud": "lc", "sub": "42", "exp": NOW + 60, "client_id": "p", **more}
    return {name: value for name, value in full.items() if value is not ...}


def sign(
    key: Any = RSA, alg: str = "RS256", header: dict[str, Any] | None = None, **more: Any
) -> str:
    full = {"alg": alg, "kid": key.kid, **(header or {})}
    return jwt.encode({k: v for k, v in full.items() if v is not ...}, claims(**more), key, [alg])


def encode(part: object) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize(("key", "alg"), [(RSA, "RS256"), (EC, "ES256")])
async def test_a_good_token(key: Any, alg: str) -> None:
    verified = (await loaded()).check(sign(key, alg), NOW)
    assert isinstance(verified, Verified)
    assert (verified.subject, verified.issuer, verified.expires_at) == ("42", "https://i", NOW + 60)
    assert verified.claims["client_id"] == "p"


@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
async def test_both_names_of_eddsa(alg: str) -> None:
    assert isinstance((await loaded()).check(sign(ED, alg), NOW), Verified)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"iss": "https://other"}, TokenFault.ISSUER),
        ({"iss": ...}, TokenFault.ISSUER),
        ({"iss": ["https://i"]}, TokenFault.ISSUER),
        ({"iss": ""}, TokenFault.ISSUER),
        ({"aud": "other"}, TokenFault.AUDIENCE),
        ({"aud": ...}, TokenFault.AUDIENCE),
        ({"aud": []}, TokenFault.AUDIENCE),
        ({"aud": [["lc"]]}, TokenFault.AUDIENCE),
        ({"aud": {"lc": 1}}, TokenFault.AUDIENCE),
        ({"exp": NOW - 5}, TokenFault.EXPIRED),
        ({"exp": ...}, TokenFault.CLAIMS),
        ({"exp": "9999999999"}, TokenFault.CLAIMS),
        ({"exp": True}, TokenFault.CLAIMS),
        ({"exp": 10**400}, TokenFault.CLAIMS),
        ({"exp": None}, TokenFault.CLAIMS),
        ({"nbf": NOW + 6}, TokenFault.NOT_YET_VALID),
        ({"nbf": "0"}, TokenFault.CLAIMS),
        ({"sub": 42}, TokenFault.CLAIMS),
        ({"sub": "x" * 2000}, TokenFault.CLAIMS),
    ],
)
async def test_claims_that_prove_nothing(change: dict[str, Any], fault: TokenFault) -> None:
    assert (await loaded()).check(sign(**change), NOW) is fault


async def test_leeway_is_for_clocks_on_both_sides() -> None:
    verifier = await loaded()
    assert isinstance(verifier.check(sign(exp=NOW - 4), NOW), Verified)
    assert isinstance(verifier.check(sign(nbf=NOW + 4), NOW), Verified)


async def test_subject_and_groups_may_have_other_names() -> None:
    names = {"subject_claim": "https://shop/customer", "groups_claim": "roles"}
    named: dict[str, Any] = {"https://shop/customer": "7", "roles": ["gold"], "groups": ["staff"]}
    token = sign(**named)
    verified = (await loaded(**names)).check(token, NOW)
    assert isinstance(verified, Verified)
    assert (verified.subject, verified.groups) == ("7", frozenset({"gold"}))


async def test_one_of_several_audiences_is_enough() -> None:
    assert isinstance((await loaded()).check(sign(aud=["x", "lc2"]), NOW), Verified)


async def test_another_key_of_the_same_name() -> None:
    assert (await loaded()).check(sign(OTHER_RSA), NOW) is TokenFault.SIGNATURE


async def test_a_key_id_that_is_not_there() -> None:
    assert (await loaded()).check(sign(header={"kid": "new"}), NOW) is TokenFault.KEY
    assert (await loaded()).check(sign(header={"kid": "../../dev/null"}), NOW) is TokenFault.KEY


async def test_without_a_key_id_every_fitting_key_is_tried() -> None:
    assert isinstance((await loaded()).check(sign(header={"kid": ...}), NOW), Verified)


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", ""])
@pytest.mark.parametrize("signature", ["", "AAAA"])
async def test_no_signature(alg: str, signature: str) -> None:
    token = f"{encode({'alg': alg, 'kid': 'rsa'})}.{encode(claims())}.{signature}"
    assert (await loaded()).check(token, NOW) is TokenFault.ALGORITHM


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
async def test_a_public_key_is_no_hmac_secret(alg: str) -> None:
    secrets = [RSA.as_pem(private=False), json.dumps(RSA.as_dict(private=False)).encode()]
    for secret in secrets:
        signed = f"{encode({'alg': alg, 'kid': 'rsa'})}.{encode(claims())}"
        hashed = getattr(hashlib, f"sha{alg[2:]}")
        token = f"{signed}.{encode(hmac.new(secret, signed.encode(), hashed).digest())}"
        assert (await loaded()).check(token, NOW) is TokenFault.ALGORITHM


async def test_an_algorithm_that_is_not_allowed() -> None:
    verifier = await loaded(algorithms=frozenset({"ES256"}))
    assert verifier.check(sign(), NOW) is TokenFault.ALGORITHM


async def test_an_algorithm_that_is_not_the_keys() -> None:
    token = sign(EC, "ES256", header={"kid": "rsa"})
    assert (await loaded()).check(token, NOW) is TokenFault.KEY


@pytest.mark.parametrize("name", ["jku", "jwk", "x5u", "x5c"])
@pytest.mark.parametrize("kid", ["rsa", ...])
async def test_keys_that_the_token_brings_along_are_not_looked_at(name: str, kid: Any) -> None:
    """Signed with the very key that it brings, or says where to find."""
    brought: dict[str, Any] = {
        "jwk": OTHER_RSA.as_dict(private=False),
        "x5c": [base64.b64encode(b"certificate").decode()],
    }
    header = {name: brought.get(name, "https://evil.example/keys"), "kid": kid}
    assert (await loaded()).check(sign(OTHER_RSA, header=header), NOW) is TokenFault.SIGNATURE


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": []},
        {"enc": "A128GCM"},
        {"cty": "JWT"},
        {"kid": 1},
        {"alg": 1},
        {"alg": None},
    ],
)
async def test_headers_that_ask_for_more(header: dict[str, Any]) -> None:
    full = {"alg": "RS256", "kid": "rsa", **header}
    token = f"{encode(full)}.{encode(claims())}.AAAA"
    assert (await loaded()).check(token, NOW) is TokenFault.MALFORMED


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "a.b",
        "a.b.c",
        "a.b.c.d.e",
        "....",
        "..",
        "é.é.é",
        "\ud800",
        f"{encode([])}.{encode({})}.AAAA",
        f"{encode({'alg': 'RS256'})}.{encode([])}.AAAA",
        f"{encode({'alg': 'RS256'})}.{encode(b'[' * 9000)}.AAAA",
        f"{encode(DEEP)}.{encode({})}.AAAA",
        f"{encode({'alg': 'RS256'})}.{encode(NOT_UTF8)}.AAAA",
        f"{encode({'alg': 'RS256'})}.{encode({})}.A",
        f"{encode({'alg': 'RS256'})}.{encode({})}.A A=",
        f"{encode({'alg': 'RS256'})}=.{encode({})}.AAAA",
    ],
)
async def test_what_is_no_token(token: str) -> None:
    assert (await loaded()).check(token, NOW) is TokenFault.MALFORMED


@pytest.mark.parametrize("token", [None, ""])
async def test_no_token(token: str | None) -> None:
    verifier = await loaded()
    assert verifier.check(token, NOW) is TokenFault.MISSING
    with pytest.raises(TokenRefusedError):
        await verifier.verify(token, NOW)


async def test_a_token_that_is_too_long() -> None:
    token = sign(filler="x" * MAX_TOKEN_BYTES)
    assert (await loaded()).check(token, NOW) is TokenFault.TOO_LONG


VERIFIER_KEYS = Source(RSA)


@given(raw=st.text(max_size=60) | st.from_regex(r"\A[\w-]{0,20}\.[\w-]{0,40}\.[\w-]{0,20}\Z"))
def test_noise_is_refused_and_nothing_is_raised(raw: str) -> None:
    assert isinstance(TokenVerifier([issuer(VERIFIER_KEYS)]).check(raw, NOW), TokenFault)


@given(data=st.data())
async def test_a_changed_token_is_refused(data: st.DataObject) -> None:
    verifier = await loaded(RSA)
    token = sign()
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("Aab09_-.=").filter(lambda char: char != token[at]))
    changed = token[:at] + other + token[at + 1 :]
    last_bits = at == len(token) - 1  # the last character may hold bits that no byte has
    assert last_bits or isinstance(verifier.check(changed, NOW), TokenFault)


# --- what is remembered


async def test_a_token_is_verified_once() -> None:
    verifier = await loaded()
    token = sign()
    first = verifier.check(token, NOW)
    assert verifier.check(token, NOW + 1) is first
    assert (verifier.hits, verifier.misses) == (1, 1)


async def test_what_is_remembered_expires_with_the_token() -> None:
    verifier = await loaded()
    token = sign()
    assert isinstance(verifier.check(token, NOW), Verified)
    assert isinstance(verifier.check(token, NOW + 64), Verified)
    assert verifier.check(token, NOW + 65) is TokenFault.EXPIRED
    assert verifier.check(token, NOW + 65) is TokenFault.EXPIRED


async def test_what_is_remembered_goes_with_its_key() -> None:
    source = Source(RSA)
    one = issuer(source)
    await one.keys.refresh()
    verifier = TokenVerifier([one])
    token = sign()
    assert isinstance(verifier.check(token, NOW), Verified)
    source.keys = [EC]
    await one.keys.refresh()
    assert verifier.check(token, NOW) is TokenFault.KEY


async def test_memory_is_bounded() -> None:
    one = issuer(Source(RSA))
    await one.keys.refresh()
    verifier = TokenVerifier([one], max_remembered=3)
    tokens = [sign(jti=str(number)) for number in range(5)]
    for token in tokens:
        verifier.check(token, NOW)
    assert len(verifier._remembered) == 3
    verifier.check(tokens[4], NOW)
    assert verifier.hits == 1


# --- keys that come later


async def test_a_new_key_is_asked_for_once() -> None:
    source = Source(RSA)
    one = issuer(source, keys=KeyCache(source, refetch_after=0))
    await one.keys.refresh()
    verifier = TokenVerifier([one])
    source.keys = [RSA, EC]
    assert isinstance(await verifier.verify(sign(EC, "ES256"), NOW), Verified)
    assert source.fetches == 2


async def test_keys_that_cannot_be_had() -> None:
    source = Source(RSA)
    source.away = True
    verifier = TokenVerifier([issuer(source)])
    with pytest.raises(TokenRefusedError) as caught:
        await verifier.verify(sign(), NOW)
    assert caught.value.fault is TokenFault.KEYS_UNAVAILABLE
    source.away = False
    assert isinstance(await verifier.verify(sign(), NOW), Verified)


async def test_two_issuers_of_one_name_are_told_apart_by_audience() -> None:
    source = Source(RSA)
    devices = issuer(source)
    backends = issuer(source, kind=TokenKind.SERVICE_ACCOUNT, audiences=frozenset({"backend"}))
    for one in (devices, backends):
        await one.keys.refresh()
    verifier = TokenVerifier([devices, backends])
    for audience, kind in (("lc", TokenKind.DEVICE), ("backend", TokenKind.SERVICE_ACCOUNT)):
        verified = verifier.check(sign(aud=audience), NOW)
        assert isinstance(verified, Verified)
        assert verified.kind is kind


async def test_an_issuer_whose_name_is_not_known_yet_verifies_nothing() -> None:
    assert (await loaded(name=lambda: None)).check(sign(), NOW) is TokenFault.ISSUER


# --- what is remembered of bad tokens


async def test_a_bad_signature_is_found_once() -> None:
    verifier = await loaded()
    token = sign(OTHER_RSA)
    for _ in range(3):
        assert verifier.check(token, NOW) is TokenFault.SIGNATURE
    assert (verifier.hits, verifier.misses) == (2, 1)
    assert verifier.check(token, NOW + 31) is TokenFault.SIGNATURE
    assert verifier.misses == 2


async def test_new_keys_give_a_refused_token_another_chance() -> None:
    source = Source(RSA)
    one = issuer(source)
    await one.keys.refresh()
    verifier = TokenVerifier([one])
    token = sign(OTHER_RSA)
    assert verifier.check(token, NOW) is TokenFault.SIGNATURE
    source.keys = [OTHER_RSA]
    await one.keys.refresh()
    assert isinstance(verifier.check(token, NOW), Verified)


async def test_a_token_that_is_too_young_is_not_remembered_as_bad() -> None:
    verifier = await loaded()
    token = sign(nbf=NOW + 10)
    assert verifier.check(token, NOW) is TokenFault.NOT_YET_VALID
    assert isinstance(verifier.check(token, NOW + 6), Verified)
