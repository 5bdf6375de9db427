"""Clients that are refused again and again: their refusals are held back, so that loops slow down.

A client is its client id together with its token, never its address: behind one address may be
thousands, and with another token the same client is welcome at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

_PATIENCE: Final = 2
"""Refusals that are answered at once."""
_FIRST_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 3.0
_FORGET_SECONDS: Final = 60.0


class Offenders:
    """Counts refusals."""

    def __init__(self, most: int = 20_000) -> None:
        """Make it.

        Args:
            most: clients that are remembered; the longest unseen are forgotten first.
        """
        self._most = most
        self._seen: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def refused(self, client: Hashable, now: float) -> float:
        """Note a refusal; return how long its answer is to be held back (seconds).

        Args:
            client: client id and token.
            now: seconds on a clock that only goes forward.
        """
        count, last = self._seen.pop(client, (0, now))
        count = 1 if now - last > _FORGET_SECONDS else count + 1
        self._seen[client] = (count, now)
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)
        if count <= _PATIENCE:
            return 0.0
        doublings = min(count - _PATIENCE - 1, 8)
        return min(_FIRST_SECONDS * 2.0**doublings, _LONGEST_SECONDS)
