"""How long to wait before the next attempt to connect."""

from __future__ import annotations

import secrets
from typing import Final

_FIRST_SECONDS: Final = 0.1
_LONGEST_SECONDS: Final = 5.0
_random: Final = secrets.SystemRandom()


def pause(failures: int) -> float:
    """Return seconds: jittered, more after each failure; hardly any after a steady connection."""
    longest = min(_FIRST_SECONDS * 2 ** min(failures, 10), _LONGEST_SECONDS)
    return _random.uniform(longest / 2, longest)
