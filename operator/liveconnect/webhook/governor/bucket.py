"""A token bucket that may go into debt."""

from __future__ import annotations


class Bucket:
    """Lets `rate` through in a second, and up to `burst` at once after a pause."""

    def __init__(self, rate: float, burst: float) -> None:
        """Make it full.

        Args:
            rate: per second.
            burst: how many at once at most; at least one.
        """
        self.rate = rate
        self._burst = max(burst, 1.0)
        self._level = self._burst
        self._at: float | None = None

    def refill(self, now: float, factor: float = 1.0) -> None:
        """Add what has come since the last time.

        Args:
            now: seconds; a time before the last one changes nothing.
            factor: of the rate, for that while.
        """
        if self._at is not None and now > self._at:
            grown = self._level + (now - self._at) * self.rate * factor
            self._level = min(grown, self._burst)
        self._at = now if self._at is None else max(self._at, now)

    @property
    def ready(self) -> bool:
        """Whether one may go."""
        return self._level >= 1.0

    def take(self) -> None:
        """Let one go, on credit if need be; the debt is bounded by a burst."""
        self._level = max(self._level - 1.0, -self._burst)

    def wait(self, factor: float = 1.0) -> float:
        """Return how long it takes until one may go (seconds)."""
        return max(1.0 - self._level, 0.0) / (self.rate * factor)
