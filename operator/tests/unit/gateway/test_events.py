"""CloudEvents: what is one, and what it becomes."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveconnect.gateway.messages import (
    MessageError,
    Properties,
    binary_event,
    is_binary_event,
    structured_event,
)

GOOD = {"specversion": "1.0", "id": "1", "source": "/orders", "type": "shipped"}


def headers(attributes: dict[str, str]) -> dict[bytes, bytes]:
    return {f"ce-{name}".encode(): value.encode() for name, value in attributes.items()}


def test_attributes_become_user_properties() -> None:
    sent = {**headers({**GOOD, "comexample": "a%20b"}), b"content-type": b"text/plain"}
    assert is_binary_event(sent)
    assert binary_event(sent) == Properties(
        content_type="text/plain", user=tuple({**GOOD, "comexample": "a b"}.items())
    )


def test_structured_event_is_of_its_media_type() -> None:
    body = json.dumps({**GOOD, "data": {"id": 7}}).encode()
    assert structured_event(body) == Properties(content_type="application/cloudevents+json")


BAD: list[tuple[dict[str, Any], str]] = [
    ({"specversion": "0.3"}, "specversion"),
    ({"id": ""}, "id"),
    ({"source": ""}, "source"),
    ({"type": ""}, "type"),
    ({"subject": ""}, "subject"),
    ({"time": "yesterday"}, "time"),
    ({"time": "2026-11-24T03:00:00"}, "time"),
    ({"com_example": "1"}, "com_example"),
]


@pytest.mark.parametrize(("change", "field"), BAD)
def test_what_is_none(change: dict[str, str], field: str) -> None:
    with pytest.raises(MessageError) as binary:
        binary_event(headers({**GOOD, **change}))
    with pytest.raises(MessageError) as structured:
        structured_event(json.dumps({**GOOD, **change}).encode())
    assert (binary.value.field, structured.value.field) == (field, field)


@pytest.mark.parametrize("name", GOOD)
def test_what_is_missing(name: str) -> None:
    rest = {key: value for key, value in GOOD.items() if key != name}
    with pytest.raises(MessageError) as caught:
        structured_event(json.dumps(rest).encode())
    assert caught.value.field == name


def test_data_given_twice() -> None:
    with pytest.raises(MessageError) as caught:
        structured_event(json.dumps({**GOOD, "data": 1, "data_base64": "eA=="}).encode())
    assert caught.value.field == "data_base64"


@given(st.binary(max_size=64), st.dictionaries(st.binary(max_size=8), st.binary(max_size=8)))
def test_anything_else_is_a_fault(body: bytes, found: dict[bytes, bytes]) -> None:
    with contextlib.suppress(MessageError):
        structured_event(body)
    with contextlib.suppress(MessageError):
        binary_event({b"ce-specversion": b"1.0", **found})
