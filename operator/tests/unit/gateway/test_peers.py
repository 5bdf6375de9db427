"""Which pod a key belongs to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from liveconnect.gateway.peers import Peers

KEYS = st.binary(min_size=1, max_size=32)


def owner(replicas: int, key: bytes) -> int:
    found = Peers(replicas, 0).elsewhere("caller", key)
    return 0 if found is None else found


@given(KEYS, st.integers(1, 50))
def test_all_pods_come_to_the_same_one(key: bytes, replicas: int) -> None:
    found = owner(replicas, key)
    assert 0 <= found < replicas
    for own in range(replicas):
        expected = None if own == found else found
        assert Peers(replicas, own).elsewhere("caller", key) == expected


@given(KEYS, st.integers(1, 20))
def test_another_pod_takes_only_what_is_then_its_own(key: bytes, replicas: int) -> None:
    before, after = owner(replicas, key), owner(replicas + 1, key)
    assert after in {before, replicas}


def test_keys_are_spread() -> None:
    owners = [owner(4, b"%d" % number) for number in range(1000)]
    assert all(200 < owners.count(ordinal) < 300 for ordinal in range(4))


def test_pods_without_an_ordinal_are_alone() -> None:
    assert Peers.of(3, "demo-gateway-2") == Peers(3, 2)
    assert Peers.of(3, "laptop") == Peers(1, 0)
