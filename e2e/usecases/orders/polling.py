"""What asking again and again would have cost: the baseline that pushing is compared with. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """Somebody looked at an order: from when until when (seconds of any one clock)."""

    opened: float
    closed: float


def polling_calls(views: Iterable[View], every_seconds: float) -> int:
    """Return the HTTP calls that polling would have made for what was looked at.

    An app polls when it is opened, and then each interval until it is closed.

    Args:
        views: what was observed.
        every_seconds: the polling interval.
    """
    return sum(
        1 + math.floor(max(0.0, view.closed - view.opened) / every_seconds) for view in views
    )
