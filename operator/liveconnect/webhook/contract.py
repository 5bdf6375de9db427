"""VerneMQ's webhooks as recorded (vernemq-contract/webhooks.md): bodies in, answers out. Pure.

The shapes are exact on purpose: `modifiers: {}` crashes a session, `[]` or the other version's
shape silently grants everything, codes are assigned by position in the body's order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec


class Register(msgspec.Struct):
    """`auth_on_register[_m5]`."""

    client_id: str
    mountpoint: str = ""
    username: str | None = None
    peer_addr: str = ""


class Subscription(msgspec.Struct):
    """One filter of a SUBSCRIBE."""

    topic: str
    qos: Any = 0


class Subscribe(msgspec.Struct):
    """`auth_on_subscribe[_m5]`; topics stand in the reverse order of the client's packet."""

    client_id: str
    topics: list[Subscription]
    username: str | None = None


class Publish(msgspec.Struct):
    """`auth_on_publish[_m5]`; also asked for a will, before CONNACK."""

    client_id: str
    topic: str
    qos: int
    username: str | None = None
    retain: bool = False


class ClientEvent(msgspec.Struct):
    """`on_register[_m5]`, `on_client_*`, `on_session_expired`."""

    client_id: str


Body = Register | Subscribe | Publish | ClientEvent

_AUTH: dict[str, type[Register | Subscribe | Publish]] = {
    "auth_on_register": Register,
    "auth_on_register_m5": Register,
    "auth_on_subscribe": Subscribe,
    "auth_on_subscribe_m5": Subscribe,
    "auth_on_publish": Publish,
    "auth_on_publish_m5": Publish,
}
PRESENCE_HOOKS = frozenset(
    {
        "on_register",
        "on_register_m5",
        "on_client_wakeup",
        "on_client_gone",
        "on_client_offline",
        "on_session_expired",
    }
)
_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    **{hook: msgspec.json.Decoder(kind) for hook, kind in _AUTH.items()},
    **{hook: msgspec.json.Decoder(ClientEvent) for hook in PRESENCE_HOOKS},
}
AUTH_HOOKS = frozenset(_AUTH)
_ENCODER = msgspec.json.Encoder()

OK = b'{"result":"ok"}'
REFUSED = b'{"result":{"error":"not_allowed"}}'
#: SUBACK codes that refuse a filter: 128 crashes an MQTT 5 session in 2.1.2.
_DENIED = {False: 128, True: 135}


class ContractError(ValueError):
    """The body is not what this hook sends."""


def parse(hook: str, raw: bytes) -> Any:
    """The body of a hook.

    Raises:
        KeyError: for a hook that we do not serve.
        ContractError: for a body of another shape.
    """
    try:
        return _DECODERS[hook].decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError(str(error)) from error


def registered(lifetime_seconds: int) -> bytes:
    """The client may stay for so long, then the broker disconnects it."""
    return b'{"result":"ok","modifiers":{"max_connection_lifetime":%d}}' % lifetime_seconds


def subscribed(
    topics: Sequence[Subscription], granted: Sequence[int | None], *, version5: bool
) -> bytes:
    """The filters in the body's order, each with its QoS or a refusal."""
    if not topics:
        return REFUSED
    answers = [
        {"topic": t.topic, "qos": _DENIED[version5] if q is None else q}
        for t, q in zip(topics, granted, strict=True)
    ]
    if version5:
        return _ENCODER.encode({"result": "ok", "modifiers": {"topics": answers}})
    return _ENCODER.encode({"result": "ok", "topics": answers})
