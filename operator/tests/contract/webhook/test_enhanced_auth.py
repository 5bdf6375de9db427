"""No answer to `on_auth_m5` lets anybody in (docs/adr/0014): recorded, line by line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from liveconnect.webhook.contract import REFUSED, Hook, ReauthenticateBody, parse_body
from tests.contract.webhook.test_answers import RECORDINGS

LINES: list[dict[str, Any]] = json.loads((RECORDINGS / "on-auth-m5-by-answer.json").read_text())
RESET = "reset"
BODIES = [line["hook_body"] for line in LINES if "hook_body" in line]


@pytest.mark.parametrize("line", LINES, ids=[line["answer"] for line in LINES])
def test_every_answer_ends_the_connection(line: dict[str, Any]) -> None:
    *before, last = line["client_gets"]
    assert last == RESET
    if line["answer"] != "AUTH in a session without a method":
        assert before == [], "no CONNACK"
        assert "auth_on_register_m5" not in line["hooks"], "asked first, and in vain"


def test_yes_as_vernemqs_own_test_says_it_is_among_them() -> None:
    asked = [line["http"]["body"] for line in LINES if "http" in line]
    assert any(body.get("modifiers", {}).get("reason_code") == 0 for body in asked)
    assert any(body.get("modifiers", {}).get("reason_code") == "success" for body in asked)


def test_our_answer_is_among_them_and_crashes_nothing() -> None:
    (line,) = [line for line in LINES if line.get("http") == {"body": json.loads(REFUSED)}]
    assert line["client_gets"] == [RESET]


def test_its_body_names_nobody() -> None:
    assert len(BODIES) == 10
    for body in BODIES:
        parsed = parse_body(Hook.ON_AUTH_M5, json.dumps(body).encode())
        assert isinstance(parsed, ReauthenticateBody)
        assert (parsed.client_id, parsed.username) == ("undefined", None)
