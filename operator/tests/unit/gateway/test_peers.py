"""Which pod a key belongs to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from liveconnect.gateway.peers import Peers, ReadyPods

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


def test_pods_that_were_not_asked_yet_count() -> None:
    assert ReadyPods(Peers(3, 1)).count == 3
    assert ReadyPods(Peers(1, 0)).count == 1


@given(st.integers(1, 6), st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30))
def test_the_count_is_of_those_that_were_ready_last(
    replicas: int, said: list[tuple[int, bool]]
) -> None:
    pods = ReadyPods(Peers(replicas, 0))
    last = dict.fromkeys(range(1, replicas), True)
    for ordinal, ready in said:
        if ordinal in last:
            assert pods.note(ordinal, ready=ready) == (last[ordinal] != ready)
            last[ordinal] = ready
        assert pods.count == 1 + sum(last.values())
