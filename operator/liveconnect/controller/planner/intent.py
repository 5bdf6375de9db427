"""What the pools shall look like after this pass: one change at a time over both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from liveconnect.controller.model.departure import Departure, Purpose
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Observed, Pool
from liveconnect.controller.planner.drain import is_done
from liveconnect.controller.planner.hibernation import Sleep
from liveconnect.controller.planner.maintenance import Maintenance
from liveconnect.controller.planner.membership import Membership
from liveconnect.controller.planner.rollout import Rollout
from liveconnect.controller.planner.sizes import Sizes
from liveconnect.controller.planner.storage import vacant

#: Subscribers go before publishers: what a publisher has taken must have reached them first.
_SHRINK_ORDER = (Pool.SUBSCRIBER, Pool.PUBLISHER)


@dataclass(frozen=True)
class Intent:
    """What is rendered."""

    replicas: Mapping[Pool, int]
    """Pods of each pool; one that leaves counts until it has left."""
    departure: Departure | None
    """The node to take out of service, to be written down."""


def decide(  # noqa: PLR0913 - everything that a pass knows
    names: Names,
    size: Sizes,
    observed: Observed,
    membership: Membership,
    maintenance: Maintenance,
    rollout: Rollout,
    now: datetime,
    sleep: Sleep,
) -> Intent:
    """Go on with what is under way, or begin the next change when nothing is."""
    replicas = size.standing
    departure = size.departure
    if sleep.now.closed:
        # A node that was to restart does so anyway; one that leaves goes on when it is back.
        leaves = departure is not None and departure.purpose is Purpose.LEAVE
        return Intent(replicas, departure if leaves else None)
    if departure is not None:
        if not is_done(departure, names, observed):
            return _go_on(departure, names, size, observed, membership, rollout, sleep)
        if departure.purpose is Purpose.LEAVE:
            replicas[departure.pool] = size.current[departure.pool] - 1
        return Intent(replicas, None)
    if sleep.holds:
        return Intent(replicas, None)
    return _next(names, size, observed, membership, maintenance, rollout, now)


def _go_on(  # noqa: PLR0913 - the pass, taken apart
    departure: Departure,
    names: Names,
    size: Sizes,
    observed: Observed,
    membership: Membership,
    rollout: Rollout,
    sleep: Sleep,
) -> Intent:
    """The departure that is under way.

    For how long a Kubernetes node stays cordoned nobody knows. Meanwhile the pool may grow, and
    the node that stands aside is the first for whatever else takes one out of service.
    """
    if departure.purpose is not Purpose.MAINTENANCE or sleep.holds:
        return Intent(size.standing, departure)
    grown = _grown(names, size, observed, membership)
    pool, pod = departure.pool, departure.pod
    is_last = pod == names.pod(pool, size.current[pool] - 1)
    if is_last and size.target[pool] < size.current[pool] and membership.whole:
        return Intent(grown, replace(departure, purpose=Purpose.LEAVE, uid=""))
    if pod in {p.name for p in rollout.outdated} and not rollout.waiting:
        return Intent(grown, replace(departure, purpose=Purpose.RESTART))
    return Intent(grown, departure)


def _next(  # noqa: PLR0913 - the pass, taken apart
    names: Names,
    size: Sizes,
    observed: Observed,
    membership: Membership,
    maintenance: Maintenance,
    rollout: Rollout,
    now: datetime,
) -> Intent:
    """The next change, when nothing is under way."""
    grown = _grown(names, size, observed, membership)
    grows = grown != size.standing
    for pool in _SHRINK_ORDER:
        current = size.current[pool]
        if not current or size.target[pool] >= current:
            continue
        last = names.pod(pool, current - 1)
        if last in membership.absent:
            # It never was a member: there is nothing to leave.
            return Intent({**grown, pool: current - 1}, None)
        if membership.whole:
            return Intent(grown, Departure(last, Purpose.LEAVE, now))
    if maintenance.next is not None and not grows:
        pod = maintenance.next
        return Intent(grown, Departure(pod.name, Purpose.MAINTENANCE, now, pod.uid))
    if rollout.drain is not None and not grows:
        pod = rollout.drain
        return Intent(grown, Departure(pod.name, Purpose.RESTART, now, pod.uid))
    return Intent(grown, None)


def _grown(
    names: Names,
    size: Sizes,
    observed: Observed,
    membership: Membership,
) -> dict[Pool, int]:
    """Replicas after growing: not into a split cluster, and not onto another life's volume."""
    grown = size.standing
    for pool in Pool:
        current, target = size.current[pool], size.target[pool]
        free = vacant(names, pool, current, observed)
        if current and target > current and free and not (membership.split or membership.torn):
            grown[pool] = target
    return grown


def claims_from(names: Names, pool: Pool, ordinal: int, observed: Observed) -> list[str]:
    """Claims of ordinals that the pool does not have: another life's state."""
    prefix = names.claim(f"{names.pool(pool)}-")
    return sorted(
        claim
        for claim in observed.claims
        if claim.startswith(prefix) and int(claim[len(prefix) :]) >= ordinal
    )
