"""A cluster that sleeps: none of its pods run, and all its volumes stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

#: On a pool's StatefulSet: how far the cluster is on its way to sleep or back.
HIBERNATION_ANNOTATION = "liveconnect.io/hibernation"
#: On the same, always: nodes that the pool has when it is awake. Its number of pods is 0 while it
#: sleeps, and may be anything that somebody has set: only the operator decides that a node leaves.
NODES_ANNOTATION = "liveconnect.io/nodes"
#: On the gateway's StatefulSet, from its way to sleep until its outboxes are empty again: pods that
#: it had before.
PODS_ANNOTATION = "liveconnect.io/pods"
#: Part of a closed Service's selector; no pod has such a label.
CLOSED_SELECTOR = {"liveconnect.io/closed": "true"}


class Phase(StrEnum):
    """Where a cluster is between awake and asleep."""

    AWAKE = "Awake"
    CLOSING = "Closing"
    """Nobody new comes in: the Services are closed, the gateway ends, then every client's
    connection."""
    ASLEEP = "Asleep"
    """The pools have no pods, or lose them; then auth service and presence store."""
    WAKING = "Waking"
    """All nodes start, behind closed Services."""


#: Two StatefulSets may say different things when a pass was cut short: the first of these counts.
_ORDER = (Phase.ASLEEP, Phase.CLOSING, Phase.WAKING, Phase.AWAKE)


@dataclass(frozen=True)
class Hibernation:
    """What is rendered of it."""

    phase: Phase = Phase.AWAKE
    services: bool = True
    """Whether the auth service and the presence store run."""

    @property
    def closed(self) -> bool:
        """Whether clients are kept out."""
        return self.phase is not Phase.AWAKE

    def annotations(self, nodes: int) -> dict[str, str]:
        """How it is written down on the StatefulSet of a pool of so many nodes."""
        note = {HIBERNATION_ANNOTATION: self.phase.value} if self.closed else {}
        return {NODES_ANNOTATION: str(nodes), **note}


@dataclass(frozen=True)
class GatewayPods:
    """The gateway's size."""

    awake: int
    """Pods that it has when it is awake."""
    noted: int = 0
    """Pods that it had before it slept, to be written down; 0 when that does not matter."""
    since: datetime | None = field(default=None, compare=False)
    """Since when all of them are ready, to be remembered."""
    message: str = field(default="", compare=False)
    """Why it has more than are asked for; empty when it has not."""

    def annotations(self) -> dict[str, str]:
        """How it is written down on its StatefulSet."""
        return {PODS_ANNOTATION: str(self.noted)} if self.noted else {}


def written(annotations: Mapping[str, str]) -> Phase:
    """The phase that a StatefulSet's annotations speak of; *Awake* for a word that nobody knows."""
    word = annotations.get(HIBERNATION_ANNOTATION, "")
    return Phase(word) if word in set(Phase) else Phase.AWAKE


def furthest(phases: list[Phase]) -> Phase:
    """The phase of a cluster, of those that its StatefulSets speak of."""
    return next((phase for phase in _ORDER if phase in phases), Phase.AWAKE)


def nodes_of(annotations: Mapping[str, str]) -> int:
    """Nodes of the pool when it is awake; 0 when that is not written down."""
    return _number(annotations.get(NODES_ANNOTATION, ""))


def pods_of_gateway(annotations: Mapping[str, str]) -> int:
    """Pods that the gateway had before it slept; 0 when that is not written down."""
    return _number(annotations.get(PODS_ANNOTATION, ""))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0
