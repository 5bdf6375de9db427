"""What the canary found: whether messages get from node to node, and how fast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

#: From, to: lives of two nodes (`PodView.life`).
Pair = tuple[str, str]


@dataclass(frozen=True)
class Target:
    """A node that messages are tried with."""

    pod: str
    life: str
    """The process that runs in it: what was found of an earlier one says nothing."""
    address: str
    client_id: str
    """Of the canary there: always the same, so that nothing of it stays behind; short, whatever
    `max_client_id_size` says."""


@dataclass(frozen=True)
class Delivery:
    """What became of the last message that was tried between two nodes."""

    at: datetime
    seconds: float | None
    """How long it took; None when it did not arrive."""


@dataclass(frozen=True, kw_only=True)
class MeshView:
    """Everything that is known of the nodes of now."""

    pairs: Mapping[Pair, Delivery] = field(default_factory=dict)
    """The newest delivery of each pair that could be tried."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """Nodes, by their life, that could not be tried last time, and why."""
    connects: Mapping[str, int] = field(default_factory=dict)
    """How often the canary has connected, by pod; to be taken from what brokers count."""
