"""`status`: what the operator has seen."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from liveconnect.api.v1alpha1.base import ApiModel


class ConditionStatus(StrEnum):
    """KEP-1623."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """A condition as in KEP-1623."""

    type: Annotated[str, Field(max_length=316)]
    """What it is about."""
    status: ConditionStatus
    """True, False or Unknown."""
    reason: Annotated[str, Field(max_length=1024)]
    """One word for programs."""
    message: Annotated[str, Field(max_length=32768)] = ""
    """A sentence for people."""
    lastTransitionTime: datetime
    """When `status` changed last."""
    observedGeneration: Annotated[int | None, Field(ge=0)] = None
    """The generation of the object that this speaks of."""


class PoolStatus(ApiModel):
    """One pool."""

    replicas: int = 0
    """Pods that exist."""
    ready: int = 0
    """Pods that are ready."""
    desired: int = 0
    """Nodes that the operator aims at."""
    connections: int = 0
    """Connections now, as the brokers count them."""
    connectsPerMinute: int = 0
    """CONNECT packets in the last minute, as the brokers count them."""
    summary: str = ""
    """`ready/desired`, for the column."""
    skew: str = ""
    """Connections of the fullest node by the mean of the ready nodes: `1.0` is even, `2.0` means twice
    its share; empty without connections."""


class NodeStatus(ApiModel):
    """One broker node."""

    name: str
    """Name of the pod."""
    pool: str
    """`publisher` or `subscriber`."""
    state: str
    """`Running`, `Starting`, `Joining`, `Leaving`, `Unreachable`."""
    connections: int = 0
    """Connections now."""
    queues: int = 0
    """Sessions, offline persistent ones included."""
    members: int = 0
    """Members in this node's own list."""


class DrainStatus(ApiModel):
    """A node whose clients are being moved away."""

    node: str
    """Name of the pod."""
    purpose: str
    """`Leave` (the pool shrinks), `Restart` (a change is rolled out) or `Maintenance` (its
    Kubernetes node is cordoned: without clients the pod may be evicted)."""
    since: datetime
    """When the drain began."""
    sessionsLeft: int = 0
    """Clients that are still connected to it."""
    queuesLeft: int = 0
    """Sessions that still live on it, offline persistent ones included."""
    rate: str = ""
    """Clients that are moved away, as in `180/min`."""
    eta: datetime | None = None
    """When the last client is expected to have been moved, at this rate; at the latest when the
    drain times out."""


class MeshStatus(ApiModel):
    """Messages that the operator tries between the nodes."""

    verifiedAt: datetime | None = None
    """When messages were seen to get from every node to every other; renewed every hour while
    nothing else changes."""
    pairs: int = 0
    """Pairs of nodes, each in both directions, that messages were tried between."""
    failing: list[str] = []
    """Pairs between which none get, as `demo-publisher-0 → demo-subscriber-1`; ten at most."""
    medianMs: int | None = None
    """Usual time from publishing to arrival (milliseconds); renewed when it has changed twofold."""
    slowestMs: int | None = None
    """The same of the slowest pair."""


class AutoscalingStatus(ApiModel):
    """What the autoscaler thinks."""

    recommended: int
    """Recommended number of nodes."""
    lastScaleTime: datetime | None = None
    """When the operator changed the number of nodes last."""


class CertificateStatus(ApiModel):
    """One certificate, as its Secret holds it and as the nodes serve it."""

    field: str
    """What it is for, such as `spec.subscribers.listeners[mqtts].tls`."""
    secretName: str
    """The Secret."""
    serial: str = ""
    """Serial number (hexadecimal) of the certificate that shall be served; empty without one."""
    notAfter: datetime | None = None
    """When it expires."""
    served: str = ""
    """Nodes that were seen to serve exactly this certificate, of those that run: `2/3`."""
    problem: str = ""
    """What is wrong with the Secret and what to do; empty when nothing is."""


class Endpoints(ApiModel):
    """Where to connect."""

    subscribers: str = ""
    """`host:port` for devices."""
    publishers: str = ""
    """`host:port` for backend MQTT clients, inside the cluster."""
    gateway: str = ""
    """URL for microservices, inside the cluster."""
    presence: str = ""
    """URL of the presence API, inside the cluster."""


class Status(ApiModel):
    """What the operator has seen; written by it alone."""

    observedGeneration: int | None = None
    """The generation that this status speaks of."""
    conditions: list[Condition] = []
    """Ready first."""
    clients: int = 0
    """Devices connected now."""
    rate: str = ""
    """CONNECT packets a minute, for the column."""
    publishers: PoolStatus | None = None
    """The publisher pool."""
    subscribers: PoolStatus | None = None
    """The subscriber pool."""
    drain: DrainStatus | None = None
    """Set while a node is drained."""
    mesh: MeshStatus | None = None
    """Whether messages get from node to node; set once they were tried."""
    autoscaling: AutoscalingStatus | None = None
    """Set while `spec.subscribers.autoscaling` is."""
    endpoints: Endpoints | None = None
    """Where to connect."""
    nodes: list[NodeStatus] = []
    """Every broker node."""
    reconciled: str = ""
    """Value of the annotation `liveconnect.io/reconcile` that was last acted on."""
    certificates: list[CertificateStatus] = []
    """Every certificate of a listener."""
    selector: str = ""
    """Label selector of the subscriber pods, for `kubectl scale` and HPA."""
