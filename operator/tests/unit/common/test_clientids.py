"""Client ids in management URLs."""

from __future__ import annotations

from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveconnect.common.clientids import query_value


@given(st.text())
def test_what_is_sent_is_exactly_the_client_id_and_ends_no_string(client_id: str) -> None:
    value = query_value(client_id)
    if value is not None:
        assert unquote_plus(value, encoding="latin-1") == client_id
        assert not set('"\\&=#?/ ') & set(value)
        assert not set('"\\') & set(client_id)


@pytest.mark.parametrize(
    "client_id", ["", 'zz" OR client_id != "', '"', "x\\", "Ωmega", "日本", "\ud800"]
)
def test_what_cannot_be_named_is_not_sent(client_id: str) -> None:
    assert query_value(client_id) is None


def test_latin_1_is_what_vernemq_reads() -> None:
    assert query_value("phoné 1/+&") == "phon%E9+1%2F%2B%26"
