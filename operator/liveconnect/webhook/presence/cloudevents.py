"""Changes as CloudEvents, in one batch, signed as Standard Webhooks has it. Pure.

CloudEvents 1.0, JSON batch format; standard-webhooks 1.0.0: HMAC-SHA256 over
`<id>.<timestamp>.<body>`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

import msgspec

from liveconnect.webhook.presence.change import Change
from liveconnect.webhook.presence.times import rfc3339

CONTENT_TYPE: Final = "application/cloudevents-batch+json"
TYPE: Final = "io.liveconnect.presence.changed"
_KEY_PREFIX: Final = "whsec_"


class SigningKeyError(Exception):
    """What should sign is no key; the message quotes nothing of it."""


class ChangeView(msgspec.Struct, frozen=True, rename="camel"):
    """A change, as it is told."""

    client_id: str
    state: str
    node: str
    since: str

    @classmethod
    def of(cls, change: Change) -> ChangeView:
        """Return the view of a change."""
        return cls(change.client_id, change.state.value, change.node, rfc3339(change.since))


class _CloudEvent(msgspec.Struct, frozen=True):
    id: str
    source: str
    subject: str
    time: str
    data: ChangeView
    specversion: str = "1.0"
    type: str = TYPE
    datacontenttype: str = "application/json"


def batch(changes: Sequence[tuple[str, Change]], source: str) -> bytes:
    """Return the body of a request.

    Args:
        changes: each with what names it, the same at every attempt.
        source: names the LiveConnect cluster, a URI reference.
    """
    views = [(name, ChangeView.of(change)) for name, change in changes]
    return msgspec.json.encode(
        [_CloudEvent(name, source, view.client_id, view.since, view) for name, view in views]
    )


def signing_key(text: str) -> bytes:
    """Return the key of a text such as `whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw`.

    Raises:
        SigningKeyError: it is none.
    """
    try:
        key = base64.b64decode(text.strip().removeprefix(_KEY_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SigningKeyError("is no base64") from None
    if len(key) < 24:
        raise SigningKeyError("has less than 24 bytes")
    return key


def signature(key: bytes, name: str, timestamp: int, body: bytes) -> str:
    """Return the header `webhook-signature`.

    Args:
        key: what is signed with.
        name: the header `webhook-id`.
        timestamp: the header `webhook-timestamp` (seconds since the epoch).
        body: the request's.
    """
    content = b"%b.%d.%b" % (name.encode(), timestamp, body)
    digest = hmac.new(key, content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
