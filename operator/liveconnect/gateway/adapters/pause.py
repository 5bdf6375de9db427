"""How long to wait before the next attempt to connect."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Final, Never

_FIRST_SECONDS: Final = 0.1
_LONGEST_SECONDS: Final = 5.0
_STEADY_SECONDS: Final = 5.0
"""A connection that lasted longer was no failure."""
_random: Final = secrets.SystemRandom()


def pause(failures: int) -> float:
    """Return seconds: jittered, more after each failure; hardly any after a steady connection."""
    longest = min(_FIRST_SECONDS * 2 ** min(failures, 10), _LONGEST_SECONDS)
    return _random.uniform(longest / 2, longest)


async def again_and_again(serve_one: Callable[[], Awaitable[None]]) -> Never:
    """Serve connection after connection until cancelled, with a pause after each.

    Args:
        serve_one: connects, and returns when that failed or the connection has ended.
    """
    failures = 0
    while True:
        began = time.monotonic()
        await serve_one()
        failures = 0 if time.monotonic() - began > _STEADY_SECONDS else failures + 1
        await asyncio.sleep(pause(failures))
