"""What rendering needs besides the object itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from liveconnect.api.operands import StatedRule
from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.credentials import Credentials
from liveconnect.controller.model.departure import Departure
from liveconnect.controller.model.evictions import Evictions
from liveconnect.controller.model.hibernation import GatewayPods, Hibernation
from liveconnect.controller.model.observed import Pool
from liveconnect.controller.model.tls import TlsWays, store_has_tls


@dataclass(frozen=True, kw_only=True)
class RenderSettings:
    """The same for all cluster objects of one operator."""

    image: str
    """Image of the auth service and the gateway: the operator's own."""
    image_pull_policy: str
    presence_image: str
    """Image of managed presence stores, unless the object names one."""
    cluster_domain: str = "cluster.local"
    operator_version: str
    operator_subject: str = ""
    """The operator's own ServiceAccount, `system:serviceaccount:…`; empty when it has no token."""


@dataclass(frozen=True, kw_only=True)
class RenderInputs:
    """What this pass knows."""

    credentials: Credentials
    replicas: Mapping[Pool, int]
    """Pods of each pool when it is awake: a pod that leaves counts until it has left."""
    departure: Departure | None = None
    """The node that is taken out of service; written down on its StatefulSet."""
    evictions: Mapping[Pool, Evictions] = field(
        default_factory=lambda: dict.fromkeys(Pool, Evictions.UNREADY)
    )
    """Which pods of each pool Kubernetes may evict."""
    hibernation: Hibernation = field(default_factory=Hibernation)
    """Whether it sleeps, or is on its way to it or back; written down on both StatefulSets."""
    gateway: GatewayPods | None = None
    """The gateway's size when it is awake; what the object asks for when not given."""
    certificates: Mapping[Pool, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """Content of the pools' own Secrets with certificates, by file name."""
    gateway_certificates: Mapping[str, str] | None = field(default=None, repr=False)
    """Content of the gateway's own Secret with certificates; None without TLS to the publishers."""
    hooks_certificate: Mapping[str, str] | None = field(default=None, repr=False)
    """Content of the auth service's own Secret: its certificate, and the authorities by which it is
    known; None without TLS."""
    auth_api: TlsWays | None = None
    """How the gateway asks the auth service; as the object says when not given."""
    store_certificate: Mapping[str, str] | None = field(default=None, repr=False)
    """Content of the managed store's own Secret with its certificate; None without TLS."""
    store: TlsWays | None = None
    """How the auth service asks the managed store; as the object says when not given."""
    https_certificates: Mapping[str, str] | None = field(default=None, repr=False)
    """Content of the Secret for the gateway's HTTPS; None without."""
    secret_digests: Mapping[str, str] = field(default_factory=dict)
    """Digests of the Secrets that the object refers to: a change rolls the pods that mount them."""
    volume_sizes: Mapping[str, str] = field(default_factory=dict)
    """Sizes that StatefulSets ask for now, by their names: that part of them cannot be changed,
    only made anew."""
    lives: Mapping[str, str] = field(default_factory=dict)
    """Pods whose volume has served an earlier life, and the life that it serves now."""
    rules: Sequence[StatedRule] | None = None
    """Topic rules in force; the cluster object's own when not given."""

    def ways_to_auth(self, cluster: Cluster) -> TlsWays:
        """How the gateway asks the auth service, which the object says when nothing else does."""
        tls = cluster.spec.auth.tls is not None
        return self.auth_api or TlsWays(asked=tls, plain=not tls)

    def ways_to_store(self, cluster: Cluster) -> TlsWays:
        """How the managed store is asked, which the object says when nothing else does."""
        tls = store_has_tls(cluster)
        return self.store or TlsWays(asked=tls, plain=not tls)

    def gateway_size(self, cluster: Cluster) -> GatewayPods:
        """The gateway's size, which the object says when nothing else does."""
        return self.gateway or GatewayPods(cluster.spec.gateway.replicas)
