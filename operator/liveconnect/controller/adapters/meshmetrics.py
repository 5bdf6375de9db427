"""What the canary found, as metrics."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from liveconnect.controller.adapters.canaryround import Outcome

_LABELS: Final = ("namespace", "cluster")
_STATES: Final = ("delivered", "lost", "untried")
_OUTCOMES: Final = ("ok", "lost", "untried")

_PAIRS = Gauge(
    "liveconnect_mesh_pairs",
    "Pairs of broker nodes, in both directions, by what became of the last message between them.",
    (*_LABELS, "state"),
)
_LATENCY = Histogram(
    "liveconnect_mesh_latency_seconds",
    "From publishing on one broker node to arrival on another.",
    _LABELS,
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_ROUNDS = Counter(
    "liveconnect_mesh_rounds_total",
    "Rounds of messages between broker nodes, by the worst that they found.",
    (*_LABELS, "outcome"),
)


class MeshMetrics:
    """The metrics of one cluster object."""

    def __init__(self, namespace: str, cluster: str) -> None:
        self._of = (namespace, cluster)

    def say(self, outcome: Outcome, nodes: int) -> None:
        """Count a round between so many nodes."""
        lost = sum(took is None for took in outcome.seconds.values())
        counts = {
            "delivered": len(outcome.seconds) - lost,
            "lost": lost,
            "untried": nodes * (nodes - 1) - len(outcome.seconds),
        }
        for state in _STATES:
            _PAIRS.labels(*self._of, state).set(counts[state])
        latency = _LATENCY.labels(*self._of)
        for took in outcome.seconds.values():
            if took is not None:
                latency.observe(took)
        worst = "lost" if lost else "untried" if counts["untried"] else "ok"
        _ROUNDS.labels(*self._of, worst).inc()

    def forget(self) -> None:
        """Say nothing of this object any more."""
        for state in _STATES:
            _remove(_PAIRS, (*self._of, state))
        _remove(_LATENCY, self._of)
        for outcome in _OUTCOMES:
            _remove(_ROUNDS, (*self._of, outcome))


def _remove(metric: Counter | Gauge | Histogram, labels: tuple[str, ...]) -> None:
    metric.labels(*labels)  # it may never have been said, and only what was can be removed
    metric.remove(*labels)
