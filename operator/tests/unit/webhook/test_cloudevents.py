"""Batches of changes, and their signature."""

from __future__ import annotations

import base64
import json

import pytest

from liveconnect.webhook.presence import Change, State
from liveconnect.webhook.presence.cloudevents import (
    SigningKeyError,
    batch,
    signature,
    signing_key,
)

CHANGE = Change("phone/1", State.OFFLINE, "demo-subscriber-0", 1_795_507_200_123)


def test_a_batch_of_cloudevents() -> None:
    (event,) = json.loads(batch([("1-0", CHANGE)], "/liveconnect/shop/demo"))
    assert event == {
        "specversion": "1.0",
        "id": "1-0",
        "source": "/liveconnect/shop/demo",
        "type": "io.liveconnect.presence.changed",
        "subject": "phone/1",
        "time": "2026-11-24T08:00:00.123Z",
        "datacontenttype": "application/json",
        "data": {
            "clientId": "phone/1",
            "state": "offline",
            "node": "demo-subscriber-0",
            "since": "2026-11-24T08:00:00.123Z",
        },
    }


def test_the_signature_of_the_specification() -> None:
    """The example of standard-webhooks 1.0.0."""
    key = base64.b64decode("plJ3nmyCDGBKInavdOK15jsl")
    body = b'{"event_type":"ping","data":{"success":true}}'
    signed = signature(key, "msg_loFOjxBNrRLzqYUf", 1731705121, body)
    assert signed == "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="


@pytest.mark.parametrize("prefix", ["", "whsec_"])
def test_keys(prefix: str) -> None:
    text = base64.b64encode(bytes(range(32))).decode()
    assert signing_key(f"{prefix}{text}\n") == bytes(range(32))


@pytest.mark.parametrize("text", ["", "whsec_", "not base64!", "c2hvcnQ=", "ü" * 40])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(SigningKeyError) as error:
        signing_key(text)
    assert not text.strip() or text not in str(error.value)
