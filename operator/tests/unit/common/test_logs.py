"""Secrets do not get into the logs."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from typing import Any

import pytest

from liveconnect.common.logs import Redacted

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl"

PROGRAM = f"""
import logging
from liveconnect.common.logs import Redacted, configure_logs, get_logger

configure_logs("test", "INFO")
log, token = get_logger("ours"), {TOKEN!r}
log.debug("not shown")
log.warning("hello", number=1)
logging.getLogger("theirs").warning("plain %s", "text")
log.warning("got " + token, value=token, nested={{"a": [token]}}, secret=Redacted("s3cr3t"))
logging.getLogger("theirs").warning("got %s", token)
try:
    int(token)
except ValueError:
    log.exception("failed")

class Unprintable:
    def __str__(self):
        raise ValueError
logging.getLogger("theirs").warning("%s %s", token, Unprintable())
"""
"""In a process of its own: it takes the whole logging of one over."""


@pytest.fixture(scope="module")
def output() -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout + done.stderr


@pytest.fixture
def entries(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_entries_are_json_lines(entries: list[dict[str, Any]]) -> None:
    ours, theirs = entries[:2]
    assert (ours["message"], ours["number"], ours["level"]) == ("hello", 1, "warning")
    assert (ours["logger"], ours["service"]) == ("ours", "test")
    assert (theirs["message"], theirs["logger"]) == ("plain text", "theirs")


def test_tokens_are_removed_wherever_they_are(output: str) -> None:
    assert "c2lnbmF0dXJl" not in output
    assert "eyJzdWIi" not in output
    assert "s3cr3t" not in output
    assert output.count("[redacted]") >= 6


def test_a_secret_does_not_print() -> None:
    secret = Redacted("s3cr3t")
    for shown in (str(secret), repr(secret), f"{secret}", f"{secret!r:>20}", f"{[secret]}"):
        assert "s3cr3t" not in shown
    assert secret.reveal() == "s3cr3t"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
