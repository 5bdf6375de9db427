"""How many messages a second each caller may publish. Pure: `now` is an argument."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from liveconnect.api.operands import Publisher


class _Bucket(msgspec.Struct):
    """What a caller has left. It fills steadily, up to one second's worth."""

    rate: float
    left: float
    at: float


class Quotas:
    """The buckets of those callers that have a quota; nobody else is slowed down."""

    def __init__(self, callers: Iterable[Publisher], now: float) -> None:
        rates: dict[str, int] = {}
        for caller in callers:
            if caller.messages_per_second is not None:
                rate = rates.get(caller.subject, 0) + caller.messages_per_second
                rates[caller.subject] = rate
        self._buckets = {s: _Bucket(float(rate), float(rate), now) for s, rate in rates.items()}

    def take(self, caller: str, messages: int, now: float) -> float:
        """Take messages out of a caller's quota, all or none.

        A batch may take more than is left; then the caller waits until that is made up for.

        Args:
            caller: whose they are.
            messages: how many.
            now: any monotonic time, in seconds.

        Returns:
            0 if they may be published, otherwise the seconds to wait before the next attempt.
        """
        bucket = self._buckets.get(caller)
        if bucket is None:
            return 0.0
        bucket.left = min(bucket.rate, bucket.left + (now - bucket.at) * bucket.rate)
        bucket.at = now
        if bucket.left < 1:
            return (1 - bucket.left) / bucket.rate
        bucket.left -= messages
        return 0.0
