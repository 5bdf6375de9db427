"""Every recorded hook body parses; nothing else does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveconnect.api.operands import MOST_MESSAGE_BYTES
from liveconnect.webhook.contract import (
    Hook,
    HookBodyError,
    PublishBody,
    RegisterBody,
    SubscribeBody,
    longest_body,
    parse_body,
)

RECORDINGS = Path(__file__).parent / "recordings"
BODIES: dict[str, Any] = json.loads((RECORDINGS / "hook-bodies.json").read_text())
TOURS = [
    (version, entry["hook"], entry["raw_body"])
    for version in ("2.1.2", "2.2.0")
    for line in (RECORDINGS / f"hooks-tour-{version}.jsonl").read_text().splitlines()
    if "hook" in (entry := json.loads(line))
]


@pytest.mark.parametrize("hook", sorted(BODIES))
def test_a_recorded_body_parses(hook: str) -> None:
    body = BODIES[hook]["body"]
    parsed = parse_body(Hook(hook), json.dumps(body).encode())
    assert parsed.client_id == body["client_id"]


@pytest.mark.parametrize(("version", "hook", "raw"), TOURS)
def test_every_body_of_the_tours_parses(version: str, hook: str, raw: str) -> None:
    assert parse_body(Hook(hook), raw.encode()).client_id == json.loads(raw)["client_id"]


def test_the_tours_call_every_hook_that_is_served() -> None:
    assert {hook for _, hook, _ in TOURS} | set(BODIES) >= {
        "auth_on_register",
        "auth_on_register_m5",
        "auth_on_subscribe",
        "auth_on_subscribe_m5",
        "auth_on_publish",
        "auth_on_publish_m5",
        "on_register",
        "on_register_m5",
        "on_client_wakeup",
        "on_client_offline",
        "on_client_gone",
    }


def test_what_decisions_need_is_read() -> None:
    register = parse_body(Hook.AUTH_ON_REGISTER, _recorded("auth_on_register"))
    assert isinstance(register, RegisterBody)
    assert (register.client_id, register.username) == ("client_1", "tok-x")
    subscribe = parse_body(Hook.AUTH_ON_SUBSCRIBE, _recorded("auth_on_subscribe"))
    assert isinstance(subscribe, SubscribeBody)
    assert [(topic.topic, topic.qos) for topic in subscribe.topics] == [
        ("x/+", 0),
        ("orders/42/status", 1),
    ]
    publish = parse_body(Hook.AUTH_ON_PUBLISH_M5, _recorded("auth_on_publish_m5"))
    assert isinstance(publish, PublishBody)
    assert (publish.topic, publish.qos, publish.retain) == ("orders/5/s", 1, False)


@pytest.mark.parametrize("version", ["2.1.2", "2.2.0"])
def test_the_options_of_a_subscription_are_read(version: str) -> None:
    raw = next(r for v, hook, r in TOURS if (v, hook) == (version, "auth_on_subscribe_m5"))
    parsed = parse_body(Hook.AUTH_ON_SUBSCRIBE_M5, raw.encode())
    assert isinstance(parsed, SubscribeBody)
    assert [msgspec.structs.asdict(topic) for topic in parsed.topics] == json.loads(raw)["topics"]
    assert json.loads(raw)["topics"][0]["retain_handling"] == "send_if_new_sub"


def test_no_body_prints_its_user_name() -> None:
    for hook in BODIES:
        assert "tok-x" not in repr(parse_body(Hook(hook), _recorded(hook)))


@pytest.mark.parametrize("hook", sorted(BODIES))
def test_a_missing_key_is_refused(hook: str) -> None:
    for key in ("client_id", "mountpoint"):
        body = {name: value for name, value in BODIES[hook]["body"].items() if name != key}
        with pytest.raises(HookBodyError):
            parse_body(Hook(hook), json.dumps(body).encode())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b'{"client_id": "\xff", "mountpoint": ""}',
        b"[" * 100_000,
        b'{"x":' * 100_000,
    ],
)
@pytest.mark.parametrize("hook", list(Hook))
def test_what_is_no_body_is_refused(hook: Hook, raw: bytes) -> None:
    with pytest.raises(HookBodyError):
        parse_body(hook, raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(hook=st.sampled_from(sorted(BODIES)), changes=st.data())
def test_a_body_with_wrong_types_parses_or_is_refused_and_never_crashes(
    hook: str, changes: st.DataObject
) -> None:
    body = dict(BODIES[hook]["body"])
    key = changes.draw(st.sampled_from(sorted(body)))
    body[key] = changes.draw(JSON)
    try:
        parsed = parse_body(Hook(hook), json.dumps(body).encode())
    except HookBodyError:
        return
    assert isinstance(parsed.client_id, str)
    assert parsed.client_id


@given(raw=st.binary(max_size=200), hook=st.sampled_from(list(Hook)))
def test_noise_is_refused(raw: bytes, hook: Hook) -> None:
    with pytest.raises(HookBodyError):
        parse_body(hook, raw)


def _recorded(hook: str) -> bytes:
    return json.dumps(BODIES[hook]["body"]).encode()


@given(size=st.integers(0, MOST_MESSAGE_BYTES), bound=st.integers(0, 2 * MOST_MESSAGE_BYTES))
def test_what_the_brokers_take_is_read(size: int, bound: int) -> None:
    """With the longest token and topic, a client id that is escaped, and the payload in base64."""
    body = {**BODIES["auth_on_publish_m5"]["body"], "payload": ""}
    body |= {"username": "t" * 16_384, "topic": "t" * 65_535, "client_id": "\u0001" * 100}
    length = len(json.dumps(body).encode()) + (size + 2) // 3 * 4
    if size <= (bound or MOST_MESSAGE_BYTES):
        assert length <= longest_body(bound)
    assert longest_body(bound) <= longest_body(0) < 2 * MOST_MESSAGE_BYTES


@pytest.mark.parametrize("hook", ["auth_on_publish", "auth_on_publish_m5"])
def test_a_hook_may_come_without_the_payload(hook: str) -> None:
    """`vmq_webhooks.<name>.no_payload = on`: the member is left out."""
    body = {name: value for name, value in BODIES[hook]["body"].items() if name != "payload"}
    publish = parse_body(Hook(hook), json.dumps(body).encode())
    assert isinstance(publish, PublishBody)
    assert (publish.topic, publish.payload_bytes) == (body["topic"], None)
