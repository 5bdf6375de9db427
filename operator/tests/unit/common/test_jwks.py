"""Key sets, and the cache that follows them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk

from liveconnect.common.jwks import KeyCache, KeySetError, parse_key_set

RSA = jwk.RSAKey.generate_key(2048, {"kid": "rsa"}).as_dict(private=False)
EC = jwk.ECKey.generate_key("P-256", {"kid": "ec"}).as_dict(private=False)
P521 = jwk.ECKey.generate_key("P-521", {"kid": "p521"}).as_dict(private=False)
ED = jwk.OKPKey.generate_key("Ed25519", {"kid": "ed"}).as_dict(private=False)


def document(*keys: Any) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [
        (RSA, {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
        ({**RSA, "alg": "RS256"}, {"RS256"}),
        (EC, {"ES256"}),
        (P521, {"ES512"}),
        (ED, {"EdDSA", "Ed25519"}),
        ({**ED, "alg": "EdDSA"}, {"EdDSA", "Ed25519"}),
    ],
)
def test_a_key_is_used_with_its_algorithms_only(key: Any, algorithms: set[str]) -> None:
    (parsed,) = parse_key_set(document(key)).keys
    assert set(parsed.algorithms) == algorithms


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "x"},
        {**RSA, "use": "enc"},
        {**RSA, "key_ops": ["encrypt"]},
        {**RSA, "alg": "HS256"},
        {**RSA, "n": "!!"},
        {**RSA, "kid": 5},
        {"kty": "RSA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "secp256k1", "x": EC["x"], "y": EC["y"]},
        "text",
        None,
        {},
    ],
)
def test_a_key_that_cannot_be_used_is_left_out(key: Any) -> None:
    assert [k.kid for k in parse_key_set(document(key, EC)).keys] == ["ec"]


@pytest.mark.filterwarnings("ignore")
def test_a_small_key_is_left_out() -> None:
    small = jwk.RSAKey.generate_key(1024, {"kid": "small"}).as_dict(private=False)
    assert [k.kid for k in parse_key_set(document(small, EC)).keys] == ["ec"]


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b"\xff", b"[" * 50_000]
)
def test_what_is_no_key_set(raw: bytes) -> None:
    with pytest.raises(KeySetError):
        parse_key_set(raw)


@given(
    field=st.sampled_from(sorted(EC)),
    value=st.none() | st.integers() | st.text(max_size=9) | st.lists(st.text(max_size=3)),
)
def test_a_strange_key_never_crashes(field: str, value: Any) -> None:
    assert any(k.kid == "rsa" for k in parse_key_set(document({**EC, field: value}, RSA)).keys)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Source:
    """A source that can be slow, away, or send nonsense."""

    name = "memory"
    poll_seconds = 60.0

    def __init__(self) -> None:
        self.answer: bytes | Exception = document(RSA)
        self.fetches = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self) -> bytes:
        self.fetches += 1
        await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_all_who_wait_share_one_request() -> None:
    source = Source()
    source.gate.clear()
    cache = KeyCache(source)
    waiting = [asyncio.create_task(cache.refresh()) for _ in range(50)]
    await asyncio.sleep(0)
    source.gate.set()
    await asyncio.gather(*waiting)
    assert (source.fetches, cache.usable) == (1, True)


async def test_who_stops_waiting_does_not_stop_the_others() -> None:
    source = Source()
    source.gate.clear()
    cache = KeyCache(source)
    first, second = (asyncio.create_task(cache.refresh()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    source.gate.set()
    await second
    assert cache.usable


async def test_unknown_key_ids_ask_once_in_a_while() -> None:
    clock, source = Clock(), Source()
    cache = KeyCache(source, refetch_after=10, clock=clock)
    for _ in range(100):
        await cache.refresh()
    assert source.fetches == 1
    clock.now += 10
    for _ in range(100):
        await cache.refresh()
    assert source.fetches == 2


async def test_without_keys_it_asks_more_often_but_not_always() -> None:
    clock, source = Clock(), Source()
    source.answer = KeySetError("away")
    cache = KeyCache(source, refetch_after=10, retry_after=1, clock=clock)
    for _ in range(5):
        await cache.refresh()
        await cache.refresh()
        clock.now += 1
    assert source.fetches == 5


@pytest.mark.parametrize("answer", [KeySetError("away"), b"{}", ZeroDivisionError()])
async def test_old_keys_stay_while_the_source_is_broken(answer: bytes | Exception) -> None:
    clock, source = Clock(), Source()
    cache = KeyCache(source, refetch_after=1, stale_after=100, clock=clock)
    await cache.refresh()
    source.answer = answer
    clock.now += 50
    await cache.refresh()
    assert (cache.usable, cache.generation) == (True, 1)
    assert cache.fault is not None
    clock.now += 51
    await cache.refresh()
    assert (cache.usable, cache.generation) == (False, 2)
    source.answer = document(EC)
    clock.now += 50
    await cache.refresh()
    assert cache.usable
    assert cache.fault is None


async def test_the_generation_grows_only_with_a_change() -> None:
    source = Source()
    cache = KeyCache(source, refetch_after=0)
    await cache.refresh()
    await cache.refresh()
    assert cache.generation == 1
    source.answer = document(RSA, EC)
    await cache.refresh()
    assert cache.generation == 2
