"""Subscriptions that the rules no longer cover end; where need be, with their sessions.

VerneMQ asks about a filter once, when it is subscribed to; a stored session keeps it for days and
over reconnects. So when a rule was withdrawn, the brokers are asked who subscribes to what it may
have granted, and each of these is judged anew as if it asked now. Who is connected stays connected
and loses the subscription. Whoever still holds it in the next round, or is not there to be judged,
ends, stored session included: the next connect would bring it back (docs/adr/0020).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import msgspec
from prometheus_client import Counter

from liveconnect.api.operands import StatedRule
from liveconnect.common.claims import TokenFault
from liveconnect.common.jsonerrors import MALFORMED
from liveconnect.common.logs import get_logger
from liveconnect.common.policy import (
    Policy,
    Pool,
    Refused,
    RuleTemplate,
    TemplateError,
)
from liveconnect.common.policy.narrowing import Narrowing
from liveconnect.common.tokens import NEWS_MAY_HELP, Verified
from liveconnect.webhook.adapters.brokers import (
    Brokers,
    BrokerUnavailableError,
    Holding,
    Session,
    can_be_asked,
)
from liveconnect.webhook.adapters.rule_file import RuleFile
from liveconnect.webhook.adapters.store_connection import StoreUnavailableError
from liveconnect.webhook.adapters.store_marks import StoreMarks
from liveconnect.webhook.contract import SubscribeTopic

_SETTLE_SECONDS: Final = 2.0
"""Rules are often moved from one object to another: withdrawn here, stated there."""
_RETRY_SECONDS: Final = (1.0, 2.0, 5.0, 15.0, 60.0)
_ENDS_PER_SECOND: Final = 100
"""Whoever is ended comes back at once."""
_NOTE: Final = "rules"

REAUTHORIZED: Final = Counter(
    "liveconnect_webhook_recheck_reauthorized_total",
    "Live sessions whose subscriptions were asked about anew while their connection went on.",
)
ENDED: Final = Counter(
    "liveconnect_webhook_recheck_ended_total",
    "Sessions ended because the rules no longer cover one of their subscriptions.",
)
ROUNDS: Final = Counter(
    "liveconnect_webhook_recheck_rounds_total",
    "Rounds over the brokers' subscriptions by outcome (clean, ended, incomplete).",
    ["outcome"],
)

_log = get_logger(__name__)


class Asking(Protocol):
    """Tells who a user name stands for."""

    async def check_with_news(self, token: str | None, now: float) -> Verified | TokenFault:
        """Return what the token proves."""


class Recheck:
    """Judges live and stored subscriptions anew after rules were withdrawn."""

    def __init__(
        self,
        rules: RuleFile,
        identities: Asking,
        brokers: Brokers,
        marks: StoreMarks,
        clock: Callable[[], float],
    ) -> None:
        """Make it.

        Args:
            rules: the rules in force.
            identities: proves who holds a subscription.
            brokers: tell who subscribes to what, and end sessions.
            marks: keep the rules of the last round that was clean.
            clock: returns seconds since the epoch.
        """
        self._rules = rules
        self._identities = identities
        self._brokers = brokers
        self._marks = marks
        self._clock = clock
        self._earlier: list[RuleTemplate] | None = list(rules.templates)
        self._due = asyncio.Event()
        self._reauthorized: set[str] = set()
        rules.on_change(self._changed)

    def _changed(self, _policy: Policy) -> None:
        if self._earlier is not None:
            self._earlier += self._rules.replaced
        self._due.set()

    async def run(self) -> None:
        """Recheck after each change until cancelled; at the start against the last clean round."""
        await self._begin()
        attempt = 0
        while True:
            await self._due.wait()
            await asyncio.sleep(_SETTLE_SECONDS)
            self._due.clear()
            if await self._round():
                attempt = 0
                continue
            self._due.set()
            await asyncio.sleep(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])
            attempt += 1

    async def _begin(self) -> None:
        try:
            noted = await self._marks.noted(_NOTE)
        except StoreUnavailableError:
            noted = None
        if noted == _text(self._rules.templates):
            return
        # With nothing noted everything is looked at; who is away, and may hold what it does by a
        # rule in force, stays: on a new cluster these are its first stored sessions.
        self._earlier = None if noted is None else _templates(noted)
        self._due.set()

    async def _round(self) -> bool:
        """Go over all subscriptions once; whether nothing is left to be done."""
        earlier, current = self._earlier, self._rules.templates
        narrowing = Narrowing(earlier, current)
        ended = 0
        try:
            if narrowing:
                ended = await self._end_refused(narrowing)
        except BrokerUnavailableError as error:
            ROUNDS.labels("incomplete").inc()
            _log.warning("subscriptions could not be rechecked, will try again", reason=str(error))
            return False
        if ended:
            # *Done* proves nothing: the next round finds nobody, or ends them again.
            ROUNDS.labels("ended").inc()
            return False
        self._reauthorized.clear()
        if self._earlier is earlier and self._rules.templates is current:
            self._earlier = list(current)
            await self._note(current)
        ROUNDS.labels("clean").inc()
        return True

    async def _note(self, current: Sequence[RuleTemplate]) -> None:
        try:
            await self._marks.note(_NOTE, _text(current))
        except StoreUnavailableError as error:
            _log.info("the rechecked rules could not be noted", reason=str(error))

    async def _end_refused(self, narrowing: Narrowing) -> int:
        """End what is held and may not be; how many held it.

        Raises:
            BrokerUnavailableError: somebody could not be judged or ended.
        """
        ended = 0
        addresses = await self._brokers.addresses()
        vitals = await self._brokers.vitals()
        silent = addresses - {node.address for node in vitals}
        for node in vitals:
            if self._brokers.pod_of(node.node) is None:
                continue
            for holding in await self._suspects(node.address, node.node, narrowing):
                if not await self._judge(node.address, holding):
                    continue
                ended += 1
                if ended % _ENDS_PER_SECOND == 0:
                    await asyncio.sleep(1.0)
        if silent:
            raise BrokerUnavailableError(f"{', '.join(sorted(silent))}: no answer")
        return ended

    async def _suspects(self, address: str, node: str, narrowing: Narrowing) -> Sequence[Holding]:
        held: dict[str, Holding] = {}
        for one in await self._brokers.subscriptions(address, node):
            if not one.is_online and narrowing.may_have_been_granted(one.topic):
                continue
            if one.client_id not in held and narrowing.concerns(one.client_id, one.topic):
                held[one.client_id] = one
        return tuple(held.values())

    async def _judge(self, address: str, holding: Holding) -> bool:
        """Take from a client what it may not have; whether that was anything."""
        client_id = holding.client_id
        if not holding.is_online or not can_be_asked(client_id):
            # nobody knows what its next token will say, or what it says now
            await self._end(address, client_id)
            return True
        session = await self._brokers.session(address, client_id)
        if session is None or await self._may_keep(client_id, session):
            return False  # one that has gone subscribes by the rules in force
        if client_id in self._reauthorized:
            await self._end(address, client_id)
        else:
            await self._reauthorize(address, client_id, session.user)
        return True

    async def _reauthorize(self, address: str, client_id: str, user: str) -> None:
        self._reauthorized.add(client_id)
        try:
            await self._brokers.reauthorize(address, client_id, user)
        except BrokerUnavailableError as error:
            # such as a token that is too long for a URL: the next round ends the session
            _log.info("a session could not be reauthorized", client_id=client_id, reason=str(error))
        else:
            REAUTHORIZED.inc()

    async def _end(self, address: str, client_id: str) -> None:
        await self._brokers.disconnect(address, client_id, cleanup=True)
        _log.info("session ended: a rule was withdrawn", client_id=client_id)
        ENDED.inc()

    async def _may_keep(self, client_id: str, session: Session) -> bool:
        """Whether the rules in force cover all that a client has subscribed to."""
        identity = await self._identities.check_with_news(session.user, self._clock())
        if isinstance(identity, TokenFault) and identity in NEWS_MAY_HELP:
            raise BrokerUnavailableError(f"a token cannot be verified now: {identity.value}")
        topics = [SubscribeTopic(topic, 0) for topic in session.topics]
        decision = self._rules.policy.subscribe(Pool.SUBSCRIBER, client_id, identity, topics)
        if isinstance(decision, Refused):
            return False
        return not any(isinstance(grant, Refused) for grant in decision.granted)


def _text(rules: Iterable[RuleTemplate]) -> str:
    """The rules as they are noted."""
    stated = [
        {
            "filter": "/".join(rule.levels),
            "allow": sorted(rule.actions),
            "groups": sorted(rule.groups),
        }
        for rule in rules
    ]
    return msgspec.json.encode(stated).decode()


def _templates(text: str) -> list[RuleTemplate] | None:
    """The rules that were noted; None if that cannot be read."""
    try:
        stated = [StatedRule.model_validate(rule) for rule in msgspec.json.decode(text)]
        return [RuleTemplate.of(rule) for rule in stated]
    except (*MALFORMED, TemplateError, ValueError, TypeError):
        _log.warning("the noted rules cannot be read: every subscription is looked at")
        return None
