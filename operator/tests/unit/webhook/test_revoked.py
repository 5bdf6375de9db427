"""Which tokens a revocation covers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveconnect.common.tokens import TokenKind, Verified
from liveconnect.webhook.revocations import (
    SKEW_SECONDS,
    Kind,
    OrderError,
    Revocation,
    Revoked,
    parse_order,
)

NOW = 1_700_000_000.0


def token(subject: str = "42", token_id: str = "t1", issued: float = NOW - 60) -> Verified:  # noqa: S107 - its id
    return Verified(
        kind=TokenKind.DEVICE,
        issuer="https://i",
        subject=subject,
        claims={},
        expires_at=NOW + 600,
        token_id=token_id,
        issued_at=issued,
    )


def revoked(kind: Kind, value: str, **more: Any) -> Revoked:
    found = Revoked()
    full = {"until": NOW + 1000, "id": "1-1", "at": NOW, **more}
    found.add(Revocation(kind, value, **full))
    return found


@pytest.mark.parametrize(
    ("kind", "value"), [(Kind.SUBJECT, "42"), (Kind.CLIENT, "phone-1"), (Kind.TOKEN, "t1")]
)
def test_what_is_named_is_covered_and_nothing_else(kind: Kind, value: str) -> None:
    assert revoked(kind, value).covers(token(), "phone-1", NOW)
    assert not revoked(kind, f"{value}x").covers(token(), "phone-1", NOW)
    for other in set(Kind) - {kind}:
        assert not revoked(other, value).covers(token(), "phone-1", NOW)


@pytest.mark.parametrize("kind", [Kind.SUBJECT, Kind.CLIENT])
def test_tokens_that_were_issued_later_are_good(kind: Kind) -> None:
    list_ = revoked(kind, {Kind.SUBJECT: "42", Kind.CLIENT: "phone-1"}[kind])
    assert list_.covers(token(issued=NOW + SKEW_SECONDS), "phone-1", NOW)
    assert not list_.covers(token(issued=NOW + SKEW_SECONDS + 1), "phone-1", NOW)
    assert list_.covers(token(issued=0), "phone-1", NOW), "who knows when it was issued"


def test_a_token_stays_revoked_whatever_it_says_of_its_time() -> None:
    assert revoked(Kind.TOKEN, "t1").covers(token(issued=NOW + 999), "phone-1", NOW)


def test_only_of_the_issuer_that_is_named() -> None:
    assert revoked(Kind.SUBJECT, "42", issuer="https://i").covers(token(), "c", NOW)
    assert not revoked(Kind.SUBJECT, "42", issuer="https://j").covers(token(), "c", NOW)


def test_a_token_without_a_name_is_not_covered_by_chance() -> None:
    assert not revoked(Kind.SUBJECT, "").covers(token(subject=""), "c", NOW)
    assert not revoked(Kind.TOKEN, "").covers(token(token_id=""), "c", NOW)


def test_it_ends() -> None:
    list_ = revoked(Kind.SUBJECT, "42")
    assert list_.covers(token(), "c", NOW + 999)
    assert not list_.covers(token(), "c", NOW + 1000)
    list_.forget(NOW + 1000)
    assert len(list_) == 0


IDS = st.sampled_from(["1-1", "2-1", "3-1"])
STEPS = st.lists(st.tuples(IDS, st.sampled_from(["add", "again", "remove"])), max_size=20)


@given(STEPS)
def test_adding_and_removing_in_any_order(steps: list[tuple[str, str]]) -> None:
    """Covered exactly while at least one revocation of it is in force."""
    list_, model = Revoked(), set[str]()
    for identifier, step in steps:
        if step == "remove":
            list_.remove(identifier)
            model.discard(identifier)
        else:
            list_.add(Revocation(Kind.SUBJECT, "42", NOW + 9, id=identifier, at=NOW))
            model.add(identifier)
        assert list_.covers(token(), "c", NOW) == bool(model)
        assert {one.id for one in list_} == model


@given(st.binary(max_size=60))
def test_noise_is_no_order(content: bytes) -> None:
    with pytest.raises(OrderError):
        parse_order(content).revocation("me", NOW)
