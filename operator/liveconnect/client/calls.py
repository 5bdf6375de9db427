"""Each call of LiveConnect's HTTP APIs, as a value: what is asked, and how its answer is read."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

import msgspec

from liveconnect.client.messages import (
    Content,
    Delivery,
    Members,
    Message,
    Payload,
    Presence,
    Receipt,
    Request,
    RequestStatus,
)
from liveconnect.client.outcomes import FanOut, Outcome, outcomes
from liveconnect.client.outcomes import fan_out as read_fan_out

T = TypeVar("T")

LONGEST_WAIT_SECONDS: Final = 60
"""For so long an HTTP call waits for a device's answer at most."""
_JSON: Final = "application/json"


class Service(Enum):
    """Who is asked."""

    GATEWAY = "gateway"
    PRESENCE = "presence"


@dataclass(frozen=True)
class Call(Generic[T]):
    """One HTTP call."""

    method: str
    path: str
    read: Callable[[bytes], T]
    """Reads the body of a good answer."""
    service: Service = Service.GATEWAY
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    repeatable: bool = True
    """Whether repeating it does no harm, even if it was done before."""
    waits_seconds: float = 0.0
    """For how long the answer may be held back on purpose."""


class _Receipt(msgspec.Struct):
    status: Receipt


class _Found(msgspec.Struct):
    items: list[Presence]


def publish(message: Message, key: str) -> Call[Receipt]:
    """Publish one message.

    Args:
        message: what, and to whom.
        key: its `Idempotency-Key`; not used for QoS 0, which is never repeated.
    """
    return Call(
        "POST",
        "/v1/publish",
        lambda body: msgspec.json.decode(body, type=_Receipt).status,
        headers=_headers(_JSON, key if message.qos else None),
        content=msgspec.json.encode(_message(message)),
        repeatable=message.qos > 0,
    )


def publish_all(messages: Sequence[Message], key: str) -> Call[tuple[Outcome, ...]]:
    """Publish many messages; one outcome for each, in their order."""
    lines = (msgspec.json.encode(_message(message)) for message in messages)
    return Call(
        "POST",
        "/v1/publish/batch",
        partial(outcomes, messages=len(messages)),
        headers=_headers("application/x-ndjson", key),
        content=b"".join(line + b"\n" for line in lines),
        repeatable=all(message.qos > 0 for message in messages),
        waits_seconds=30.0 + len(messages) / 100,
    )


def fan_out(
    members: Members, content: Content, key: str, limit: int, after: str | None
) -> Call[FanOut]:
    """Publish one message to each of many clients; the rest is in the report's `next`."""
    ids = None if members.client_ids is None else list(members.client_ids)
    chosen = _given(clientIds=ids, prefix=members.prefix, group=members.group)
    asked = _given(members=chosen, message=_content(content), limit=limit, after=after)
    return Call(
        "POST",
        "/v1/fanout",
        read_fan_out,
        headers=_headers(_JSON, key if content.qos else None),
        content=msgspec.json.encode(asked),
        repeatable=content.qos > 0,
        waits_seconds=60.0,
    )


def request(client_id: str, asked: Request, key: str) -> Call[RequestStatus]:
    """Ask a device, and wait for its answer; no answer in time is a `NoAnswerError`."""
    return _request(client_id, asked, key, None, min(asked.timeout_seconds, LONGEST_WAIT_SECONDS))


def begin_request(client_id: str, asked: Request, key: str, wait: int) -> Call[RequestStatus]:
    """Ask a device, and wait at most `wait` seconds for its answer."""
    return _request(client_id, asked, key, f"respond-async, wait={wait}", wait)


def request_status(identity: str) -> Call[RequestStatus]:
    """Look up a request."""
    return Call("GET", _request_path(identity), _read_status)


def forget_request(identity: str) -> Call[None]:
    """Let the gateway forget a request, and drop its answer."""
    return Call("DELETE", _request_path(identity), lambda _: None)


def presence(client_id: str) -> Call[Presence]:
    """Look up one client."""
    path = f"/v1/clients/{quote(client_id, safe='')}"
    read = partial(msgspec.json.decode, type=Presence)
    return Call("GET", path, read, Service.PRESENCE)


def presences(client_ids: Sequence[str]) -> Call[dict[str, Presence]]:
    """Look up many clients; those that were never seen are not in the result."""
    return Call(
        "POST",
        "/v1/lookups",
        lambda body: {p.client_id: p for p in msgspec.json.decode(body, type=_Found).items},
        Service.PRESENCE,
        _headers(_JSON, None),
        msgspec.json.encode({"clientIds": list(client_ids)}),
    )


def _request(
    client_id: str, asked: Request, key: str, prefer: str | None, wait: float
) -> Call[RequestStatus]:
    headers = _headers(_JSON, key if asked.qos else None)
    if prefer is not None:
        headers["Prefer"] = prefer
    return Call(
        "POST",
        f"/v1/clients/{quote(client_id, safe='')}/requests",
        _read_status,
        headers=headers,
        content=msgspec.json.encode({**_common(asked), "timeoutSeconds": asked.timeout_seconds}),
        repeatable=asked.qos > 0,
        waits_seconds=wait,
    )


def _request_path(identity: str) -> str:
    return f"/v1/requests/{quote(identity, safe='')}"


def _read_status(body: bytes) -> RequestStatus:
    return msgspec.json.decode(body, type=RequestStatus)


def _headers(content_type: str, key: str | None) -> dict[str, str]:
    named = {} if key is None else {"Idempotency-Key": key}
    return {"Content-Type": content_type, **named}


def _message(message: Message) -> dict[str, Any]:
    """Return a message as the gateway reads it: only what is not by default."""
    to = _given(topic=message.topic, clientId=message.client_id, group=message.group)
    return to | _content(message)


def _content(content: Content) -> dict[str, Any]:
    correlation = content.correlation_data
    return _common(content) | _given(
        retain=content.retain or None,
        responseTopic=content.response_topic,
        correlationDataBase64=None if correlation is None else _base64(correlation),
    )


def _common(one: Content | Request) -> dict[str, Any]:
    return _payload(one.payload) | _given(
        qos=one.qos,
        messageExpirySeconds=one.message_expiry_seconds,
        contentType=one.content_type,
        userProperties=dict(one.user_properties) or None,
        delivery=None if one.delivery is Delivery.ACCEPTED else one.delivery.value,
    )


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _payload(payload: Payload) -> dict[str, Any]:
    if isinstance(payload, bytes):
        return {"payloadBase64": _base64(payload)}
    return {"payload": payload}


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
