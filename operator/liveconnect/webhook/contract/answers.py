"""Answers to the hooks, in exactly the shapes that VerneMQ takes as they are meant.

It is unforgiving: `"modifiers": {}` crashes the session, `"topics": []` or the other protocol
version's shape silently grants everything, 128 crashes an MQTT 5 session, and an MQTT 5
subscription loses the options that the answer leaves out. So no answer is built anywhere but here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from liveconnect.webhook.contract.bodies import SubscribeTopic

OK: Final = b'{"result":"ok"}'
REFUSED: Final = b'{"result":{"error":"not_allowed"}}'
"""CONNACK 5 or 0x86, SUBACK 0x80 or 0x87; a publish: 3.1.1 is cut, 5 gets PUBACK 0x87."""

MAX_LIFETIME_SECONDS: Final = 30 * 24 * 3600
"""Longest lifetime that is ever asked for: Erlang's timers end at 2^32 ms (49.7 days)."""

_DENIED_V4: Final = 128
_DENIED_V5: Final = 135


def connect_allowed(lifetime_seconds: int) -> bytes:
    """Answer `auth_on_register[_m5]`: yes, for so long.

    Args:
        lifetime_seconds: the session is cut then; kept between a second and 30 days.
    """
    lifetime = min(max(lifetime_seconds, 1), MAX_LIFETIME_SECONDS)
    return b'{"result":"ok","modifiers":{"max_connection_lifetime":%d}}' % lifetime


def subscribe_answer(
    topics: Sequence[SubscribeTopic], granted: Sequence[int | None], *, mqtt5: bool
) -> bytes:
    """Answer `auth_on_subscribe` (or `_m5`).

    Args:
        topics: as in the hook's body; at least one.
        granted: for each of them, by position, the granted QoS or None for a refusal.
        mqtt5: which version's shape and codes are used.
    """
    if not topics or len(topics) != len(granted) or all(qos is None for qos in granted):
        # To the client it is the same; and `session reauthorize` takes a subscription away for a
        # refusal only: one that is answered with 128 or 135 it keeps, with that as its QoS.
        return REFUSED
    pairs = zip(topics, granted, strict=True)
    if mqtt5:
        answered = [_entry(topic, qos, _DENIED_V5) | _options(topic, qos) for topic, qos in pairs]
        return msgspec.json.encode({"result": "ok", "modifiers": {"topics": answered}})
    answered = [_entry(topic, qos, _DENIED_V4) for topic, qos in pairs]
    return msgspec.json.encode({"result": "ok", "topics": answered})


def _entry(topic: SubscribeTopic, qos: int | None, denied: int) -> dict[str, Any]:
    return {"topic": topic.topic, "qos": denied if qos is None else qos}


def _options(topic: SubscribeTopic, qos: int | None) -> dict[str, Any]:
    """What differs from VerneMQ's defaults, which stand in for what is not answered."""
    if qos is None:
        return {}
    asked = {
        "no_local": topic.no_local,
        "rap": topic.rap,
        "retain_handling": topic.retain_handling,
    }
    return {name: value for name, value in asked.items() if value not in (False, "send_retain")}
