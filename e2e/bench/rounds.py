"""Paired rounds: ours and the peer's in turn, so that both see the same machine."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from e2e.bench.row import Measurement
from e2e.providers.progress import say


def paired(
    ours: Callable[[], float], peer: Callable[[], float], *, rounds: int, unit: str
) -> Measurement:
    """Run both in each round, the one that begins alternating; return the medians.

    Args:
        ours: measures ours once.
        peer: measures the peer once.
        rounds: how often; the first one more, to warm up, which does not count.
        unit: for the progress that is shown.
    """
    values: list[float] = []
    peer_values: list[float] = []
    for number in range(rounds + 1):
        if number % 2:
            value, peer_value = ours(), peer()
        else:
            peer_value, value = peer(), ours()
        if number == 0:
            continue
        values.append(value)
        peer_values.append(peer_value)
        say(f"    round {number}/{rounds}: ours {value:.4g}, peer {peer_value:.4g} {unit}")
    return Measurement(median(values), median(peer_values))
