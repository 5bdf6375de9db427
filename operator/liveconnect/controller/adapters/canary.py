"""Messages between the nodes of one cluster, tried again and again beside the passes.

It is in nobody's way: a pass reads what was found last and says which nodes there are; what is
tried meanwhile takes its own time, within bounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import Counter as Tally
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from liveconnect.common.serviceaccounts import OwnToken
from liveconnect.controller.adapters.canaryround import Outcome, Round
from liveconnect.controller.adapters.meshmetrics import MeshMetrics
from liveconnect.controller.model.mesh import Delivery, MeshView, Pair, Target
from liveconnect.controller.model.names import CANARY_PORT

_CALM_SECONDS: Final = 30.0
_SECONDS_PER_PAIR: Final = 0.005
_LONGEST_SECONDS: Final = 60.0
"""However many nodes there are: the planner forgets what is three minutes old."""
_AGAIN_SECONDS: Final = 5.0
"""After a round in which something failed."""

_LOG = logging.getLogger(__name__)


class Canary:
    """Tries one cluster's nodes as long as it is not closed."""

    def __init__(self, token: OwnToken, port: int = CANARY_PORT) -> None:
        """Prepare it; nothing happens before it is given nodes.

        Args:
            token: own ServiceAccount token; the nodes know its subject.
            port: of the nodes' private listeners.
        """
        self.on_news: Callable[[], None] = lambda: None
        """Called when a round has found something else than the one before."""
        self._token = token
        self._port = port
        self._targets: tuple[Target, ...] = ()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._pairs: dict[Pair, Delivery] = {}
        self._faults: Mapping[str, str] = {}
        self._connects: Tally[str] = Tally()
        self._metrics: MeshMetrics | None = None

    def aim(self, namespace: str, cluster: str, targets: tuple[Target, ...]) -> None:
        """Say between which nodes messages are tried from now on."""
        if targets == self._targets:
            return
        self._targets = targets
        lives = {target.life for target in targets}
        self._pairs = {pair: d for pair, d in self._pairs.items() if lives >= set(pair)}
        self._changed.set()
        if self._task is None:
            self._metrics = MeshMetrics(namespace, cluster)
            self._task = asyncio.create_task(self._run(), name=f"canary {namespace}/{cluster}")

    def view(self) -> MeshView:
        """What was found so far."""
        return MeshView(
            pairs=dict(self._pairs), faults=dict(self._faults), connects=dict(self._connects)
        )

    async def close(self) -> None:
        """End the connections and say nothing of this cluster any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._metrics is not None:
            self._metrics.forget()

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            targets = self._targets
            pause = await self._try(targets) if targets else None
            # Not wait_for: before Python 3.12 it may swallow the cancellation that ends this.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()

    async def _try(self, targets: tuple[Target, ...]) -> float:
        """Make one round; seconds until the next."""
        outcome = await self._outcome(targets)
        before = (self._faults, _verdicts(self._pairs))
        self._take(outcome)
        if self._metrics is not None:
            self._metrics.say(outcome, len(targets))
        if before != (self._faults, _verdicts(self._pairs)):
            self.on_news()
        if outcome.faults or None in outcome.seconds.values():
            return _AGAIN_SECONDS
        calm = min(max(_CALM_SECONDS, len(targets) ** 2 * _SECONDS_PER_PAIR), _LONGEST_SECONDS)
        return calm * (0.9 + secrets.randbelow(200) / 1000)

    async def _outcome(self, targets: tuple[Target, ...]) -> Outcome:
        token = self._token.read()
        if token is None:
            return _nothing(targets, "the operator's own token cannot be read")
        try:
            return await Round(targets, self._port).run(token)
        except Exception as error:  # noqa: BLE001 - the loop never ends for a bug
            _LOG.exception("the canary failed")
            return _nothing(targets, f"unexpected {type(error).__name__}")

    def _take(self, outcome: Outcome) -> None:
        """Keep what was found; what could not be tried takes nothing back."""
        now = datetime.now(UTC)
        lives = {target.life for target in self._targets}
        found = {pair: Delivery(now, took) for pair, took in outcome.seconds.items()}
        merged = {**self._pairs, **found}
        self._pairs = {pair: d for pair, d in merged.items() if lives >= set(pair)}
        self._faults = {life: why for life, why in outcome.faults.items() if life in lives}
        self._connects.update(outcome.connected)


def _verdicts(pairs: Mapping[Pair, Delivery]) -> dict[Pair, bool]:
    return {pair: delivery.seconds is not None for pair, delivery in pairs.items()}


def _nothing(targets: tuple[Target, ...], why: str) -> Outcome:
    return Outcome(seconds={}, faults={target.life: why for target in targets}, connected=())
