"""From a hook's body to its answer: parse, verify, decide, encode; and presence on the side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec

from liveconnect.api.operands import CANARY_MOUNTPOINT
from liveconnect.common.policy import (
    Policy,
    Pool,
    PublishAllowed,
    Reason,
    Refused,
    SubscribeDecision,
)
from liveconnect.common.tokens import NEWS_MAY_HELP, TokenFault, Verified
from liveconnect.webhook import audit
from liveconnect.webhook.adapters.presence_queue import PresenceQueue, milliseconds
from liveconnect.webhook.contract import (
    OK,
    REFUSED,
    ClientBody,
    Hook,
    PublishBody,
    ReauthenticateBody,
    RegisterBody,
    RegisteredBody,
    SubscribeBody,
    can_be_named,
    connect_allowed,
    subscribe_answer,
)
from liveconnect.webhook.gate import Gate, Held
from liveconnect.webhook.identities import Identities
from liveconnect.webhook.presence import Event, EventKind

AuthBody = RegisterBody | PublishBody | SubscribeBody | ReauthenticateBody
PresenceBody = RegisteredBody | ClientBody

_EVENT_KINDS: Final[Mapping[Hook, EventKind]] = {
    Hook.ON_REGISTER: EventKind.REGISTERED,
    Hook.ON_REGISTER_M5: EventKind.REGISTERED,
    Hook.ON_CLIENT_WAKEUP: EventKind.WOKEN,
    Hook.ON_CLIENT_OFFLINE: EventKind.ENDED,
    Hook.ON_CLIENT_GONE: EventKind.ENDED,
    Hook.ON_SESSION_EXPIRED: EventKind.ENDED,
}


class Call(msgspec.Struct, frozen=True):
    """Which hook was called, by which node."""

    hook: Hook
    pool: Pool
    node: str


class Sessions(Protocol):
    """What is asked and told about sessions."""

    def covers(self, identity: Verified, client_id: str, now: float) -> bool:
        """Return whether a token is revoked."""

    def admitted(self, client_id: str, identity: Verified) -> None:
        """Note that a client was let in."""


class AuthHooks:
    """Answers the hooks that ask."""

    def __init__(
        self,
        identities: Identities,
        policy: Policy,
        sessions: Sessions,
        gate: Gate,
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        """Make it.

        Args:
            identities: say who a user name stands for.
            policy: decides.
            sessions: know what is revoked, and note who is let in.
            gate: says when.
            clock: returns seconds since the epoch.
            jitter: returns a number between 0 and 1, another one each time.
        """
        self._identities = identities
        self._policy = policy
        self._sessions = sessions
        self._gate = gate
        self._clock = clock
        self._jitter = jitter

    def use(self, policy: Policy) -> None:
        """Decide by another policy from now on."""
        self._policy = policy

    def answer_now(self, call: Call, body: AuthBody) -> bytes | Held | None:
        """Return the answer; None if somebody has to be asked first."""
        identity = self._identities.check(body.username, self._clock())
        if isinstance(identity, TokenFault) and identity in NEWS_MAY_HELP:
            return None
        return self._decide(call, body, identity)

    async def answer(self, call: Call, body: AuthBody) -> bytes | Held:
        """Return the answer after asking whoever knows."""
        return self._decide(
            call, body, await self._identities.check_with_news(body.username, self._clock())
        )

    def _decide(self, call: Call, body: AuthBody, identity: Verified | TokenFault) -> bytes | Held:
        if isinstance(identity, Verified) and self._sessions.covers(
            identity, body.client_id, self._clock()
        ):
            identity = TokenFault.REVOKED
        if body.mountpoint == CANARY_MOUNTPOINT:
            return self._canary(call, body, identity)
        if isinstance(body, RegisterBody):
            return self._connect(call, body, identity)
        if isinstance(body, PublishBody):
            return self._publish(call, body, identity)
        if isinstance(body, SubscribeBody):
            return self._subscribe(call, body, identity)
        return _refuse(call, body.client_id, Reason.ENHANCED_AUTH)

    def _connect(
        self, call: Call, body: RegisterBody, identity: Verified | TokenFault
    ) -> bytes | Held:
        decision = self._policy.connect(
            call.pool, body.client_id, identity, self._clock(), self._jitter()
        )
        if isinstance(decision, Refused):
            return self._keep_out(call, body, decision.reason)
        if isinstance(identity, TokenFault):  # the policy refuses these; were it to forget, not we
            return self._keep_out(call, body, identity)
        if not can_be_named(body.client_id):
            return self._keep_out(call, body, Reason.CLIENT_ID_CHARACTERS)
        self._sessions.admitted(body.client_id, identity)
        audit.allowed(call.hook, call.pool)
        answer = connect_allowed(decision.lifetime_seconds)
        # Backends are few, and devices wait for what they publish.
        paced = call.pool is Pool.SUBSCRIBER
        return self._gate.admit(call.node, identity, answer) if paced else answer

    def _canary(self, call: Call, body: AuthBody, identity: Verified | TokenFault) -> bytes:
        """Answer on the private listener: no device, so neither paced nor remembered."""
        rules = self._policy.canary
        if isinstance(body, PublishBody):
            return self._published(call, body, rules.publish(identity, body))
        if isinstance(body, SubscribeBody):
            return self._subscribed(call, body, rules.subscribe(identity, body.topics))
        if not isinstance(body, RegisterBody):
            return _refuse(call, body.client_id, Reason.ENHANCED_AUTH)
        decision = rules.connect(identity, self._clock())
        if isinstance(decision, Refused):
            return _refuse(call, body.client_id, decision.reason)
        audit.allowed(call.hook, call.pool)
        return connect_allowed(decision.lifetime_seconds)

    def _keep_out(self, call: Call, body: RegisterBody, reason: str) -> bytes | Held:
        answer = _refuse(call, body.client_id, reason)
        return self._gate.refuse((body.client_id, hash(body.username)), reason, answer)

    def _publish(self, call: Call, body: PublishBody, identity: Verified | TokenFault) -> bytes:
        return self._published(call, body, self._policy.publish(call.pool, identity, body))

    def _published(
        self, call: Call, body: PublishBody, decision: PublishAllowed | Refused
    ) -> bytes:
        if not isinstance(decision, PublishAllowed):
            audit.refused_filter(
                call.hook, call.pool, call.node, body.client_id, decision.reason, body.topic
            )
            return REFUSED
        audit.allowed(call.hook, call.pool)
        return OK

    def _subscribe(self, call: Call, body: SubscribeBody, identity: Verified | TokenFault) -> bytes:
        decision = self._policy.subscribe(call.pool, body.client_id, identity, body.topics)
        return self._subscribed(call, body, decision)

    def _subscribed(
        self, call: Call, body: SubscribeBody, decision: SubscribeDecision | Refused
    ) -> bytes:
        if isinstance(decision, Refused):
            return _refuse(call, body.client_id, decision.reason)
        granted: list[int | None] = []
        for topic, grant in zip(body.topics, decision.granted, strict=True):
            if isinstance(grant, Refused):
                audit.refused_filter(
                    call.hook, call.pool, call.node, body.client_id, grant.reason, topic.topic
                )
                granted.append(None)
            else:
                audit.allowed(call.hook, call.pool)
                granted.append(grant.qos)
        return subscribe_answer(body.topics, granted, mqtt5=call.hook.mqtt5)


def _refuse(call: Call, client_id: str, reason: str) -> bytes:
    audit.refused(call.hook, call.pool, call.node, client_id, reason)
    return REFUSED


class PresenceHooks:
    """Takes the hooks that tell. VerneMQ holds clients up meanwhile, so it only queues."""

    def __init__(self, queue: PresenceQueue, clock: Callable[[], int] = milliseconds) -> None:
        self._queue = queue
        self._clock = clock

    def take(self, call: Call, body: PresenceBody) -> bytes:
        """Queue the event and return the answer."""
        kind = _EVENT_KINDS[call.hook]
        if kind is not EventKind.WOKEN and body.mountpoint != CANARY_MOUNTPOINT:
            self._queue.put(Event(kind, body.client_id, call.node, self._clock()))
        return OK
