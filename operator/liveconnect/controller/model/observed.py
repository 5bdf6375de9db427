"""What a pass has seen: the object's children, its pods and what every broker says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from liveconnect.controller.model.credentials import Credentials
from liveconnect.controller.model.manifest import Manifest, ObjectKey
from liveconnect.controller.model.marks import Mark
from liveconnect.controller.model.mesh import MeshView


class Pool(StrEnum):
    """The two pools of broker nodes."""

    PUBLISHER = "publisher"
    SUBSCRIBER = "subscriber"


@dataclass(frozen=True, kw_only=True)
class PodView:
    """A broker pod as the API server has it."""

    name: str
    pool: Pool
    ip: str
    ready: bool
    deleting: bool
    uid: str = ""
    version: str = ""
    """Its `resourceVersion`: another one when anything about it has changed."""
    revision: str = ""
    """The StatefulSet's template that it was made from (`controller-revision-hash`)."""
    cookie: str = ""
    """Digest of the cookie that it was made with."""
    restarts: int = 0
    """How often its container was started again."""
    node: str = ""
    """The Kubernetes node that it runs on; empty before one was chosen."""
    trouble: str = ""
    """Why its container waits (`ImagePullBackOff: …`), empty when it does not."""

    @property
    def life(self) -> str:
        """Names the process that runs in it now."""
        return f"{self.uid}/{self.restarts}"

    @property
    def ordinal(self) -> int:
        """The StatefulSet's ordinal."""
        return int(self.name.rsplit("-", 1)[1])


@dataclass(frozen=True, kw_only=True)
class AuthPodView:
    """A pod of the auth service as the API server has it."""

    name: str
    uid: str
    ip: str
    ready: bool
    rules: str = ""
    """Digest of the rules that it applies; empty if it did not answer."""


@dataclass(frozen=True, kw_only=True)
class BrokerView:
    """A broker node as it describes itself over its management API."""

    pod: str
    members: Mapping[str, bool] = field(default_factory=dict)
    """Its own member list: node name to *running*; empty when it did not answer."""
    suspended: bool = False
    """Its MQTT listeners are stopped: it was told to leave."""
    connections: int = 0
    connects: int = 0
    """CONNECT packets since its process started."""
    queues: int = 0
    """Sessions, offline persistent ones included."""
    accepts_current: bool = True
    """Whether it takes the API key that is in use; only looked at while keys are rotated."""
    accepts_other: bool = False
    """Whether it takes the next or the previous one."""
    problem: str = ""
    """Why it could not be asked, empty when it could."""

    @property
    def reachable(self) -> bool:
        """Whether its member list is known."""
        return bool(self.members)


@dataclass(frozen=True, kw_only=True)
class VolumeView:
    """A volume claim of an operand."""

    name: str
    uid: str
    requested: str
    """Size that it asks for."""
    capacity: str = ""
    """Size that it has; empty before it is bound."""
    storage_class: str | None = None
    life: str = ""
    """Which life of its node the volume serves; state of another life is moved aside (start.sh).
    Empty until the first state on it was retired."""
    retired: bool = False
    """The state on it is that of a node that left: the next node begins a new life."""
    owners: tuple[Mapping[str, object], ...] = ()
    """Its owner references: with the last of them it goes."""
    trouble: str = ""
    """What Kubernetes says of a change of its size that does not get on."""

    @property
    def bound(self) -> bool:
        """Whether there is a volume."""
        return bool(self.capacity)


@dataclass(frozen=True)
class LoadSample:
    """What the pool carried at one moment."""

    at: datetime
    connects: Mapping[str, int]
    """CONNECT counter per pod."""
    canaries: Mapping[str, int] = field(default_factory=dict)
    """How often the operator's canary has connected, per pod: within the counter."""


@dataclass(frozen=True)
class Cut:
    """Clients that were disconnected for a drain."""

    at: datetime
    clients: int


@dataclass(frozen=True)
class Migration:
    """A leaving node's queues on their way to the others."""

    node: str
    queues: int
    """How many were left when they had become fewer last."""
    at: datetime
    """When that was."""


@dataclass(frozen=True, kw_only=True)
class Rest:
    """What a pass was made from that found nothing to apply."""

    generation: int
    annotations: Mapping[str, str]
    inputs: object = field(repr=False)
    """What was rendered from, besides the object."""
    marks: int
    """Of the children."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What a pass remembers of the passes before it.

    Losing it costs time, never correctness: joins are asked for again, the stabilisation window
    starts anew.
    """

    joins: Mapping[str, datetime] = field(default_factory=dict)
    """Pods whose join was asked for, and when."""
    refusals: Mapping[str, int] = field(default_factory=dict)
    """Uids of pods whose join was refused, and how often."""
    strangers: Mapping[str, datetime] = field(default_factory=dict)
    """Uids of pods that list members who do not list them, and since when."""
    migration: Migration | None = None
    cuts: tuple[Cut, ...] = ()
    """Clients that were disconnected for a drain lately, oldest first."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Digest of the live options that each node's process was given, by `PodView.life`."""
    revisions: Mapping[Pool, tuple[str, datetime]] = field(default_factory=dict)
    """The templates' revisions, and since when they are known."""
    absences: Mapping[str, datetime] = field(default_factory=dict)
    """Members that are down, and since when."""
    samples: tuple[LoadSample, ...] = ()
    """Load of the last minute, oldest first."""
    recommendations: tuple[tuple[datetime, int], ...] = ()
    """What the autoscaler recommended within its window, oldest first."""
    announced: frozenset[tuple[str, str]] = frozenset()
    """Reasons and messages of what the last pass did: said again only after it stopped."""
    reloads: Mapping[str, datetime] = field(default_factory=dict)
    """Pods that were told to read their certificates anew, and when."""
    refreshes: Mapping[str, datetime] = field(default_factory=dict)
    """Pods of the auth service that the kubelet was made to look at, and when last."""
    applied: Mapping[ObjectKey, int] = field(default_factory=dict)
    """Children that this process applied, and the generation that they had afterwards (0 for
    kinds without one): another generation means that somebody else edited the child."""
    sent: Mapping[ObjectKey, datetime] = field(default_factory=dict)
    """Children that were applied and that no watch has shown yet, and when."""
    rest: Rest | None = None
    """What the last pass was made from, if it found nothing to apply."""
    sleeping: tuple[str, datetime] | None = None
    """A phase on the way to sleep or back, and since when its patience counts."""
    emptying: datetime | None = None
    """Since when all pods of the gateway are ready that it had before it slept."""
    reconciled: str = ""
    """Value of the annotation `liveconnect.io/reconcile` that the last whole pass acted on."""


@dataclass(frozen=True, kw_only=True)
class Observed:
    """Everything that a plan is made from."""

    children: Mapping[ObjectKey, Manifest] = field(default_factory=dict)
    marks: Mapping[ObjectKey, Mark] = field(default_factory=dict)
    """What changes when somebody edits a child; empty when that is not known."""
    pods: tuple[PodView, ...] = ()
    brokers: Mapping[str, BrokerView] = field(default_factory=dict)
    cordoned: frozenset[str] | None = None
    """Kubernetes nodes that take no pods; None when this operator may not read nodes."""
    claims: Mapping[str, str] = field(default_factory=dict)
    """Names of the brokers' volume claims, to their uid."""
    volumes: Mapping[str, VolumeView] = field(default_factory=dict)
    """All volume claims of the operands, by name."""
    storage_classes: Mapping[str, bool | None] = field(default_factory=dict)
    """Storage classes that were looked up, and whether their volumes can grow; None: there is no
    such class. One that may not be read is not in here."""
    troubles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What keeps pods from being made or from running, by component; the pools' pods tell their
    own troubles themselves."""
    missing_references: tuple[str, ...] = ()
    """What the spec refers to and does not exist, in words."""
    secrets: Mapping[str, dict[str, bytes]] = field(default_factory=dict, repr=False)
    """Content of the Secrets with certificates that exist: those that the spec refers to, and the
    pools' own."""
    handshakes: Mapping[tuple[str, int], str] = field(default_factory=dict)
    """What a pod showed on a port: the fingerprint of its certificate, empty when the handshake
    failed. Ports that are not open are left out."""
    fresh: Credentials | None = None
    """Random values, for a rotation that begins in this pass."""
    peer_pair: str = field(default="", repr=False)
    """A new certificate with its key by which the gateway's pods may know each other; empty when
    they have one or need none."""
    store_pair: str = field(default="", repr=False)
    """A new certificate with its key for the managed store; empty when it has one or needs none."""
    topics: tuple[Manifest, ...] = ()
    """The `LiveConnectTopic` objects for this cluster."""
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Labels of the namespaces."""
    mesh: MeshView | None = None
    """What the canary found; None when no messages are tried."""
    auth_pods: tuple[AuthPodView, ...] = ()
    """Ready pods of the auth service."""
    status: Manifest = field(default_factory=dict)
    """The object's status as it is."""
    memory: Memory = field(default_factory=Memory)

    def pool(self, pool: Pool) -> tuple[PodView, ...]:
        """The pods of one pool, by ordinal."""
        return tuple(sorted((p for p in self.pods if p.pool is pool), key=lambda p: p.ordinal))
