"""Who may do what on the brokers' private listener: the operator, and only try messages."""

from __future__ import annotations

from collections.abc import Sequence

from liveconnect.api.operands import CANARY_TOPIC
from liveconnect.common.claims import TokenFault
from liveconnect.common.policy.decisions import (
    ConnectAllowed,
    Granted,
    PublishAllowed,
    Reason,
    Refused,
    SubscribeDecision,
)
from liveconnect.common.policy.requests import Publication, Subscription
from liveconnect.common.verified import TokenKind, Verified

Identity = Verified | TokenFault
_RULE = "canary"
_QOS = 1


class CanaryPolicy:
    """The rules of one cluster's private listeners."""

    def __init__(self, subject: str | None) -> None:
        """Make it.

        Args:
            subject: the operator's ServiceAccount, `system:serviceaccount:…`; nobody may if None.
        """
        self._subject = subject

    def connect(self, identity: Identity, now: float) -> ConnectAllowed | Refused:
        """Decide whether it may connect."""
        admitted = self._admit(identity)
        if isinstance(admitted, Refused):
            return admitted
        return ConnectAllowed(max(int(admitted.expires_at - now), 1))

    def subscribe(
        self, identity: Identity, topics: Sequence[Subscription]
    ) -> SubscribeDecision | Refused:
        """Decide what each filter gets."""
        admitted = self._admit(identity)
        if isinstance(admitted, Refused):
            return admitted
        return SubscribeDecision(
            tuple(
                Granted(min(wanted.qos, _QOS), _RULE)
                if wanted.topic == CANARY_TOPIC
                else Refused(Reason.NO_RULE)
                for wanted in topics
            )
        )

    def publish(self, identity: Identity, message: Publication) -> PublishAllowed | Refused:
        """Decide whether a message may be published; none that a node would keep."""
        admitted = self._admit(identity)
        if isinstance(admitted, Refused):
            return admitted
        if message.retain:
            return Refused(Reason.RETAIN)
        return PublishAllowed(_RULE) if message.topic == CANARY_TOPIC else Refused(Reason.NO_RULE)

    def _admit(self, identity: Identity) -> Verified | Refused:
        if isinstance(identity, TokenFault):
            return Refused(identity)
        if identity.kind is not TokenKind.SERVICE_ACCOUNT or identity.subject != self._subject:
            return Refused(Reason.NOT_THE_CANARY)
        return identity
