"""How many messages a second each caller may publish. Pure: `now` is an argument.

A quota is for all pods of the gateway together: each grants its share of it (ADR 29).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from liveconnect.api.operands import Publisher


class Share(msgspec.Struct, frozen=True):
    """What one pod grants of a quota."""

    rate: float
    """Messages a second."""
    burst: float
    """Messages at once, after a pause."""


def share_of(quota: int, pods: int) -> Share:
    """Return one pod's share of a quota.

    At once it lets one second's worth through, and never less than one message: where there are
    more pods than messages a second, none of them would let any through.

    Args:
        quota: messages a second.
        pods: that share it, this one included.
    """
    rate = quota / max(pods, 1)
    return Share(rate, max(rate, 1.0))


class _Bucket(msgspec.Struct):
    """What a caller has left. It fills steadily, up to the share's burst."""

    quota: int
    share: Share
    left: float
    at: float

    def fill(self, now: float) -> None:
        """Add what has come since the last time."""
        self.left = min(self.share.burst, self.left + (now - self.at) * self.share.rate)
        self.at = now


class Quotas:
    """The buckets of those callers that have a quota; nobody else is slowed down."""

    def __init__(self, callers: Iterable[Publisher], now: float, pods: int = 1) -> None:
        """Fill the buckets.

        Args:
            callers: who may publish, and how much.
            now: any monotonic time, in seconds.
            pods: that share the quotas, this one included.
        """
        quotas: dict[str, int] = {}
        for caller in callers:
            if caller.messages_per_second is not None:
                quota = quotas.get(caller.subject, 0) + caller.messages_per_second
                quotas[caller.subject] = quota
        shares = {subject: share_of(quota, pods) for subject, quota in quotas.items()}
        self._buckets = {
            subject: _Bucket(quotas[subject], share, share.burst, now)
            for subject, share in shares.items()
        }

    def __bool__(self) -> bool:
        """Whether anybody has a quota."""
        return bool(self._buckets)

    def share_among(self, pods: int, now: float) -> None:
        """Grant another share from now on: a pod came or went.

        What a caller has left stays, if it is not more than the new burst; so does what it has
        to make up for.

        Args:
            pods: that share the quotas, this one included.
            now: any monotonic time, in seconds.
        """
        for bucket in self._buckets.values():
            bucket.fill(now)
            bucket.share = share_of(bucket.quota, pods)
            bucket.fill(now)

    def take(self, caller: str, messages: int, now: float) -> float:
        """Take messages out of a caller's quota, all or none.

        A batch may take more than is left; then the caller waits until that is made up for.

        Args:
            caller: whose they are.
            messages: how many.
            now: any monotonic time, in seconds.

        Returns:
            0 if they may be published, otherwise the seconds to wait before the next attempt at
            this pod.
        """
        bucket = self._buckets.get(caller)
        if bucket is None:
            return 0.0
        bucket.fill(now)
        if bucket.left < 1:
            return (1 - bucket.left) / bucket.share.rate
        bucket.left -= messages
        return 0.0
