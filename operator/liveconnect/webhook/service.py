"""The auth service's use cases: from a parsed hook to the answer's bytes."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import Counter

from liveconnect.api.operands import AuthConfig
from liveconnect.common.tokens import TokenRefusedError, Verifier
from liveconnect.webhook import contract, policy

_LOG = logging.getLogger(__name__)
_DECISIONS = Counter(
    "liveconnect_webhook_decisions_total", "Answers to hooks.", ("hook", "pool", "outcome")
)


@dataclass(frozen=True)
class Source:
    """Where a hook came from, by its URL."""

    pool: policy.Pool
    node: str


class Authorizer:
    """Answers the authentication hooks."""

    def __init__(
        self,
        config: AuthConfig,
        verifier: Verifier,
        clock: Callable[[], float] = time.time,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._verifier = verifier
        self._clock = clock
        self._spread = spread
        self._claims = {p.issuer: p.client_id_claim for p in config.providers}
        self._policy = policy.Policy(
            topics=config.topics, publishers={p.subject: p.publish for p in config.publishers}
        )

    async def answer(self, hook: str, body: contract.Body, source: Source) -> bytes:
        """The answer to an authentication hook; refused unless everything holds."""
        try:
            principal, expires = await self._principal(getattr(body, "username", None))
        except TokenRefusedError as refused:
            return self._refuse(hook, body, source, refused.refusal.value)
        match body:
            case contract.Register():
                why = self._policy.may_connect(source.pool, principal, body.client_id)
                if why:
                    return self._refuse(hook, body, source, why)
                _DECISIONS.labels(hook, source.pool.value, "ok").inc()
                return contract.registered(policy.lifetime(expires, self._clock(), self._spread()))
            case contract.Subscribe():
                return self._subscribe(hook, body, source, principal)
            case contract.Publish():
                allowed = self._policy.may_publish(
                    source.pool, principal, body.client_id, body.topic, body.qos, retain=body.retain
                )
                if not allowed:
                    return self._refuse(hook, body, source, "topic")
                _DECISIONS.labels(hook, source.pool.value, "ok").inc()
                return contract.OK
        return contract.REFUSED

    def _subscribe(
        self, hook: str, body: contract.Subscribe, source: Source, principal: policy.Principal
    ) -> bytes:
        granted = [
            self._policy.subscription(source.pool, principal, body.client_id, t.topic, _qos(t.qos))
            for t in body.topics
        ]
        if None in granted:
            _LOG.info("subscription refused: client %s at %s", body.client_id, source.node)
        outcome = "ok" if None not in granted else "topic"
        _DECISIONS.labels(hook, source.pool.value, outcome).inc()
        return contract.subscribed(body.topics, granted, version5=hook.endswith("_m5"))

    async def _principal(self, token: str | None) -> tuple[policy.Principal, float]:
        identity = await self._verifier.verify(token or "", self._clock())
        claim = self._claims.get(identity.issuer)
        if claim is None:  # the API server's: no device has an account there
            kind, client_id = policy.Kind.BACKEND, ""
        else:
            kind, client_id = policy.Kind.DEVICE, identity.claims.get(claim)
        fit = client_id if isinstance(client_id, str) else ""
        return policy.Principal(kind, identity.subject, identity.claims, fit), identity.expires

    def _refuse(self, hook: str, body: contract.Body, source: Source, why: str) -> bytes:
        _DECISIONS.labels(hook, source.pool.value, why).inc()
        _LOG.info("%s refused: client %.100s at %s: %s", hook, body.client_id, source.node, why)
        return contract.REFUSED


def _qos(value: object) -> int:
    """MQTT 5 hooks may carry options beside the QoS; what is no QoS counts as the lowest."""
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, int) and 0 <= value <= 2 else 0
