"""When a call that failed for now is made again: never before it may, never all at once."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tenacity

from liveconnect.client.calls import Call
from liveconnect.client.errors import LiveConnectError


@dataclass(frozen=True)
class Patience:
    """How often and for how long a call is repeated.

    The pause is random up to a bound that doubles (full jitter), after what `Retry-After` says.
    """

    tries: int = 12
    """All together, the first included: more than a gateway needs to start again."""
    within_seconds: float = 30.0
    """No pause ends later than this after the first try; what asks for more fails at once."""
    first_seconds: float = 0.2
    """The first pause's bound."""
    longest_seconds: float = 5.0
    """The bound that it does not grow beyond."""

    def pause(self, failures: int, asked: float, chance: float) -> float:
        """Return how long to wait (seconds).

        Args:
            failures: how often it failed, at least once.
            asked: what `Retry-After` says (seconds).
            chance: 0 to 1.
        """
        # Beyond that doubling it is the longest anyway, and a float at some point no more.
        bound = self.first_seconds * 2.0 ** min(failures - 1, 32)
        return asked + chance * min(bound, self.longest_seconds)

    def rules(self, call: Call[Any]) -> dict[str, Any]:
        """Return the arguments of tenacity's `Retrying` and `AsyncRetrying` for a call."""
        return {
            "retry": tenacity.retry_if_exception(lambda error: repeats(call, error)),
            "wait": self._wait,
            "stop": tenacity.stop_any(
                tenacity.stop_after_attempt(self.tries),
                tenacity.stop_before_delay(self.within_seconds),
            ),
            "reraise": True,
        }

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        asked = error.retry_after if isinstance(error, LiveConnectError) else None
        return self.pause(state.attempt_number, asked or 0.0, random.random())  # noqa: S311 - jitter


def repeats(call: Call[Any], error: BaseException) -> bool:
    """Return whether a call that failed may be made again.

    What may have been done already is repeated only if doing it twice does no harm.
    """
    if not isinstance(error, LiveConnectError) or not error.temporary:
        return False
    return call.repeatable or error.sent is False


def until(
    settled: Callable[[Any], bool], within_seconds: float, every_seconds: float
) -> dict[str, Any]:
    """Return the arguments of tenacity's `Retrying` for asking until something is settled.

    When it is not in time, the last thing that was seen is returned.
    """
    return {
        "retry": tenacity.retry_if_result(lambda seen: not settled(seen)),
        "wait": tenacity.wait_fixed(every_seconds),
        "stop": tenacity.stop_before_delay(within_seconds),
        "retry_error_callback": lambda state: state.outcome.result(),
    }
