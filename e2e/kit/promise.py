"""What QoS 1 and 2 promise, and whether it was kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

_SHOWN = 5


def broken(promised: Sequence[str], arrived: Sequence[str], qos: int) -> list[str]:
    """Say what of the promise was not kept; nothing when all was.

    Each message arrives at least once (QoS 1) or exactly once (QoS 2), and in the order in which
    they were published: with QoS 1 a message may come again, those that it was followed by, too,
    but none comes for the first time before one that was published earlier.

    Args:
        promised: Messages of one topic in the order of their publishing, all different.
        arrived: Messages of that topic in the order in which one session got them.
        qos: 1 or 2.
    """
    known = set(promised)
    times = Counter(arrived)
    first = [message for message in dict.fromkeys(arrived) if message in known]
    arrivable = [message for message in promised if message in times]
    faults = {
        "never arrived": [m for m in promised if m not in times],
        "never published": [m for m in times if m not in known],
        "out of order": [m for m, due in zip(first, arrivable, strict=True) if m != due],
        "more than once": [m for m, n in times.items() if n > 1] if qos == 2 else [],
    }
    return [f"{fault}: {_some(messages)}" for fault, messages in faults.items() if messages]


def repeated(arrived: Sequence[str]) -> int:
    """How many arrivals were repetitions."""
    return len(arrived) - len(set(arrived))


def _some(messages: Sequence[str]) -> str:
    more = f" and {len(messages) - _SHOWN} more" if len(messages) > _SHOWN else ""
    return ", ".join(messages[:_SHOWN]) + more
