"""What a plan may ask for: a closed set. The executor is one `match` over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from liveconnect.controller.model.manifest import Manifest, ObjectKey


@dataclass(frozen=True)
class Apply:
    """Server-side apply of one manifest."""

    manifest: Manifest
    why: str


@dataclass(frozen=True)
class Delete:
    """Delete exactly this object; one of the same name with another uid is left alone."""

    key: ObjectKey
    uid: str
    why: str
    orphan: bool = False
    """Its dependents stay: a StatefulSet's pods run on until one of the same name adopts them."""


@dataclass(frozen=True)
class Patch:
    """Merge into exactly this object, which somebody else made."""

    key: ObjectKey
    uid: str
    body: Manifest
    why: str


@dataclass(frozen=True)
class JoinNode:
    """Tell a lone node to join the cluster."""

    pod: str
    discovery_node: str


@dataclass(frozen=True)
class SuspendNode:
    """Tell a node to leave: its listeners stop, it takes no new clients."""

    pod: str
    node: str


@dataclass(frozen=True)
class StopListeners:
    """Stop a node's MQTT listeners; it stays a member."""

    pod: str
    cut: bool = False
    """Whether its clients are disconnected; else it keeps them."""
    cordoned: str = ""
    """The Kubernetes node whose maintenance it is for; empty when it is for something else."""


@dataclass(frozen=True)
class StartListeners:
    """Open a node's MQTT listeners again, which were stopped."""

    pod: str


@dataclass(frozen=True)
class DisconnectClients:
    """Disconnect some of a node's connected clients; they connect to other nodes."""

    pod: str
    node: str
    count: int


@dataclass(frozen=True)
class SetOptions:
    """Let a running node take over options of its configuration."""

    pod: str
    options: Mapping[str, str]
    checked: tuple[str, ...]
    """Those that the object sets: the node must say that it took them."""
    again: bool
    """Whether another value was set on this very process before."""


@dataclass(frozen=True)
class EvacuateNode:
    """Let a suspended node's sessions and queues move away and the node leave the cluster."""

    via: str
    node: str


@dataclass(frozen=True)
class ForgetNode:
    """Take a dead member out of the member list."""

    via: str
    node: str


@dataclass(frozen=True)
class ReloadCertificates:
    """Make a node read its certificates anew, for the next handshakes; connections stay."""

    pod: str


@dataclass(frozen=True)
class AddApiKey:
    """Give a node the key that it does not accept yet."""

    pod: str


@dataclass(frozen=True)
class RemoveApiKey:
    """Make a node forget the previous key."""

    pod: str


#: What a broker is told.
NodeAction = (
    JoinNode
    | SuspendNode
    | StopListeners
    | StartListeners
    | DisconnectClients
    | SetOptions
    | EvacuateNode
    | ForgetNode
    | ReloadCertificates
    | AddApiKey
    | RemoveApiKey
)
Action = Apply | Delete | Patch | NodeAction
