"""A circuit breaker: somebody who fails again and again is left alone for a while. Pure.

It is a dozen lines of arithmetic on `now`; libraries for it bring clocks, locks or stores along.
"""

from __future__ import annotations


class Breaker:
    """Decides whether to ask.

    Closed, everybody may. After `failures` in a row it opens: nobody may for `pause` seconds, twice
    as long after each further failure, up to `longest`. When a pause is over one probe may ask; the
    next one only when a further pause is over, so that a probe that never ends holds nobody up.
    """

    def __init__(self, *, failures: int = 5, pause: float = 1.0, longest: float = 30.0) -> None:
        self._failures = failures
        self._pause = pause
        self._longest = longest
        self._failed = 0
        self._until: float | None = None

    @property
    def open(self) -> bool:
        """Whether only probes may ask."""
        return self._until is not None

    def allows(self, now: float) -> bool:
        """Return whether to ask; if so, say afterwards how it went.

        Args:
            now: seconds on any clock that only goes forward.
        """
        if self._until is None:
            return True
        if now < self._until:
            return False
        self._until = now + self._current_pause()
        return True

    def succeeded(self) -> None:
        """Note an answer."""
        self._failed = 0
        self._until = None

    def failed(self, now: float) -> None:
        """Note that none came."""
        self._failed += 1
        if self._failed >= self._failures:
            self._until = now + self._current_pause()

    def _current_pause(self) -> float:
        doublings = min(max(self._failed - self._failures, 0), 16)
        return min(self._pause * 2.0**doublings, self._longest)
