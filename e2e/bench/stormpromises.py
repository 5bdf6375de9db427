"""What a storm must not do beside taking long: end brokers, refuse devices, keep hooks waiting."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

HOOK_BUDGET_SECONDS = 5.0
"""So long VerneMQ waits for a hook's answer (recorded); who is not answered by then is refused.
What the governor holds back (3 s at most) is in it."""
_DURATIONS = "liveconnect_webhook_hook_duration_seconds"
_SHARE = 0.99


@dataclass(frozen=True)
class Storm:
    """How one went."""

    results: Sequence[Mapping[str, Any]]
    """What `peers/storm` tells of each broker's devices."""
    restarts: int
    """Brokers that ended while the devices came."""

    def seconds(self) -> float:
        """Until the last device was in."""
        return float(max(result["seconds"] for result in self.results))

    def broken(self) -> list[str]:
        """Promises that it broke, in words."""
        refused = sum(
            count
            for result in self.results
            for code, count in result["codes"].items()
            if code != "0"
        )
        lost = {
            "refused": refused,
            "never let in": sum(result["unserved"] for result in self.results),
            "cut off again": sum(result["cut"] for result in self.results),
            "brokers that ended": self.restarts,
        }
        return [f"{what}: {count}" for what, count in lost.items() if count]


def slowest_hook(exposition: str) -> tuple[str, float]:
    """Return the hook with the longest 99th percentile, and that (seconds).

    As Prometheus has it: in a straight line between two bounds; infinite beyond the last one.

    Args:
        exposition: the auth service's metrics.

    Raises:
        RuntimeError: it answered no hook.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if sample.name == f"{_DURATIONS}_bucket":
                bucket = (float(sample.labels["le"]), float(sample.value))
                found.setdefault(sample.labels["hook"], []).append(bucket)
    slowest = {hook: _quantile(sorted(buckets)) for hook, buckets in found.items()}
    if not slowest:
        raise RuntimeError(f"no hook was answered: there is no {_DURATIONS}")
    return max(slowest.items(), key=lambda one: one[1])


def hooks_too_slow(hook: str, p99: float) -> list[str]:
    """The promise that hooks broke, in words, if they did."""
    if p99 <= HOOK_BUDGET_SECONDS:
        return []
    return [f"{hook} p99 {p99:.1f} s, more than the {HOOK_BUDGET_SECONDS:g} s that VerneMQ waits"]


def _quantile(buckets: Sequence[tuple[float, float]]) -> float:
    rank = _SHARE * buckets[-1][1]
    below, before = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            if math.isinf(bound):
                return bound
            share = (rank - before) / (count - before) if count > before else 1.0
            return below + (bound - below) * share
        below, before = bound, count
    return math.inf
