"""`spec.publishers` and `spec.subscribers`: the two pools of broker nodes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from liveconnect.api.v1alpha1.base import ApiModel, Duration, NamespaceName, ObjectName
from liveconnect.api.v1alpha1.podtemplate import PodTemplate
from liveconnect.api.v1alpha1.resources import Resources

Port = Annotated[int, Field(ge=1, le=65535)]

#: Ports that every broker pod uses itself: EPMD, metrics and management, clustering, distribution.
RESERVED_PORTS = (4369, 8888, 44053, 44054, *range(9100, 9110))


class RetentionPolicy(StrEnum):
    """What becomes of a volume that is no longer used."""

    RETAIN = "Retain"
    DELETE = "Delete"


class Retention(ApiModel):
    """What becomes of volumes, in the words of StatefulSets."""

    whenScaled: RetentionPolicy = RetentionPolicy.DELETE
    """The volume of a node that left its cluster. With `Retain` its claim is kept; a node cannot
    come back with such a state, so a later node of that name moves it aside, into `.earlier` on
    the same volume (the last three are kept), and begins empty."""
    whenDeleted: RetentionPolicy = RetentionPolicy.DELETE
    """All volumes when the object is deleted. With `Retain` an object of the same name finds its
    sessions and their messages again."""


class Storage(ApiModel):
    """The volume of each node: persistent sessions and their queued messages live on it."""

    size: Annotated[
        str, Field(pattern=r"^[1-9][0-9]*(\.[0-9]+)?(Mi|Gi|Ti|M|G|T)$", max_length=32)
    ] = "1Gi"
    """Size of the claim of each node. It can grow where the storage class allows it, never
    shrink."""
    storageClassName: Annotated[str | None, Field(max_length=253)] = None
    """Storage class of the claims; the cluster's default class when not set. It cannot be
    changed."""
    retention: Retention = Retention()
    """What becomes of volumes that are no longer used."""


#: Connections of a listener on one node are a multiple of this: VerneMQ bounds each of a listener's
#: acceptors by itself, and ten (its own default) take a crowd.
LISTENER_ACCEPTORS = 10
#: Connections of a listener on one node, unless its object says otherwise.
LISTENER_CONNECTIONS = 100_000


class ListenerProtocol(StrEnum):
    """What a listener speaks."""

    MQTT = "MQTT"
    MQTTS = "MQTTS"
    WS = "WS"
    WSS = "WSS"

    @property
    def encrypted(self) -> bool:
        """Whether it is TLS."""
        return self in {ListenerProtocol.MQTTS, ListenerProtocol.WSS}

    @property
    def counted(self) -> bool:
        """Whether VerneMQ counts its connections: those of WebSockets leave ranch's count."""
        return self in {ListenerProtocol.MQTT, ListenerProtocol.MQTTS}


class TlsVersion(StrEnum):
    """Versions of TLS that can be the least one."""

    TLS12 = "1.2"
    TLS13 = "1.3"


class ListenerTls(ApiModel):
    """The certificate of a listener, and whose clients it takes."""

    secretName: ObjectName
    """Secret with `tls.crt` (the certificate, then its intermediates) and `tls.key`, made by hand
    or by cert-manager. A renewed one is served without a restart."""
    clientCASecretName: ObjectName | None = None
    """Secret with `ca.crt`: only clients with a certificate of these authorities may connect
    (mutual TLS). They need their access token all the same."""
    minVersion: TlsVersion = TlsVersion.TLS12
    """Least version of TLS."""


class Listener(ApiModel):
    """A port on which devices connect."""

    name: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,13}[a-z0-9])?$")]
    """Name of the listener and of the Service's port."""
    protocol: ListenerProtocol = ListenerProtocol.MQTT
    """`MQTT` (over TCP), `WS` (MQTT over WebSocket, path `/mqtt`), `MQTTS` and `WSS` (the same
    over TLS)."""
    port: Port
    """Port in the pod, and on the Service unless `servicePort` says otherwise."""
    servicePort: Port | None = None
    """Port on the Service: devices connect to 443, the pod listens on 8080."""
    nodePort: Port | None = None
    """Port on every Kubernetes node, of its range for such ports; chosen by Kubernetes when not
    set. Only with `service.type` `NodePort` or `LoadBalancer`."""
    proxyProtocol: bool = False
    """Whether the load balancer sends the PROXY protocol (version 1 or 2), which tells the broker
    the client's real address. A connection without it is then reset. Not with `MQTTS` and `WSS`:
    VerneMQ has it for plain connections only."""
    maxConnections: Annotated[
        int | None,
        Field(ge=LISTENER_ACCEPTORS, le=250_000, multiple_of=LISTENER_ACCEPTORS),
    ] = None
    """Most connections that this listener holds on each node, a multiple of 10; 100,000 when not
    set. Who comes beyond waits without an answer until another goes. Not with `WS` and `WSS`:
    VerneMQ does not count the connections of WebSockets. All listeners of a node share its memory,
    and Erlang's 512,000 processes, of which each client takes two and each stored session one."""
    tls: ListenerTls | None = None
    """Certificate; needed by `MQTTS` and `WSS`."""

    @property
    def ceiling(self) -> int | None:
        """Most connections on a node; None where VerneMQ bounds none."""
        if not self.protocol.counted:
            return None
        return self.maxConnections or LISTENER_CONNECTIONS


class ServiceType(StrEnum):
    """Service types that make sense for devices."""

    LOAD_BALANCER = "LoadBalancer"
    NODE_PORT = "NodePort"
    CLUSTER_IP = "ClusterIP"


class ExternalTrafficPolicy(StrEnum):
    """Kubernetes' own words."""

    CLUSTER = "Cluster"
    LOCAL = "Local"


class SubscriberService(ApiModel):
    """The Service that devices reach the subscriber pool by."""

    type: ServiceType = ServiceType.LOAD_BALANCER
    """Type of the Service."""
    annotations: Annotated[
        dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=64)
    ] = {}
    """Annotations for the cloud's load balancer."""
    loadBalancerClass: Annotated[str | None, Field(max_length=253)] = None
    """Which load balancer implementation serves it."""
    loadBalancerSourceRanges: Annotated[
        list[Annotated[str, Field(max_length=64)]], Field(max_length=64)
    ] = []
    """CIDRs that clients may come from; everybody when empty."""
    externalTrafficPolicy: ExternalTrafficPolicy = ExternalTrafficPolicy.CLUSTER
    """`Local` keeps the clients' addresses and skips a hop."""


class AutoscalingMode(StrEnum):
    """Who acts on the recommendation."""

    AUTO = "Auto"
    RECOMMEND = "Recommend"


class ScaleDown(ApiModel):
    """How slowly the pool shrinks."""

    stabilizationSeconds: Annotated[int, Field(ge=0, le=86400)] = 900
    """The pool shrinks only to the highest size that was recommended within this time (seconds)."""


class Autoscaling(ApiModel):
    """Scaling of the subscriber pool on connections, read from the brokers themselves."""

    mode: AutoscalingMode = AutoscalingMode.AUTO
    """`Auto` acts; `Recommend` only reports in `status`."""
    minReplicas: Annotated[int, Field(ge=1, le=100)] = 2
    """Least number of nodes."""
    maxReplicas: Annotated[int, Field(ge=1, le=100)]
    """Most nodes."""
    connectionsPerNode: Annotated[int, Field(ge=1, le=10_000_000)] = 50_000
    """Connections that one node shall hold on average."""
    scaleDown: ScaleDown = ScaleDown()
    """How the pool shrinks: one node at a time, each leaves the cluster first."""


#: A number of clients, or a share of those that the pool holds.
ClientCount = Annotated[
    Annotated[int, Field(ge=1, le=10_000_000)]
    | Annotated[str, Field(max_length=4, pattern=r"^(100|[1-9][0-9]?)%$")],
    Field(json_schema_extra={"x-kubernetes-int-or-string": True}),
]


class Disruption(ApiModel):
    """How many clients a drain may disturb: a budget in clients, not in pods.

    A node that leaves or restarts stops taking clients; those that it has are disconnected in
    batches and connect to other nodes.
    """

    maxClients: ClientCount = 200
    """Most clients disconnected within `per`: a number, or a share of the pool's clients (`5%`)."""
    per: Duration = "1s"
    """The time that `maxClients` counts for."""
    drainTimeout: Duration = "15m"
    """After this the clients that are left are disconnected at once."""


class PublisherTls(ApiModel):
    """TLS between backends and the publisher pool; without it they speak plain MQTT to it."""

    secretName: ObjectName
    """Secret with `tls.crt` and `tls.key`, for the host name `<name>-publisher.<namespace>.svc`,
    and `ca.crt`, by which the gateway knows the publishers."""
    clientCASecretName: ObjectName | None = None
    """Secret with `ca.crt`: only backends with a certificate of these authorities may connect
    (mutual TLS), the gateway included. They need their token all the same."""
    gatewaySecretName: ObjectName | None = None
    """Secret with the gateway's own `tls.crt` and `tls.key`; needed with `clientCASecretName`."""
    minVersion: TlsVersion = TlsVersion.TLS12
    """Least version of TLS."""


class PublisherPool(ApiModel):
    """The hidden pool: only backend clients connect here, nothing subscribes."""

    replicas: Annotated[int, Field(ge=1, le=100)] = 2
    """Number of nodes."""
    tls: PublisherTls | None = None
    """TLS on port 8883 in place of plain MQTT on port 1883."""
    allowedNamespaces: Annotated[list[NamespaceName] | None, Field(max_length=100)] = None
    """Namespaces whose pods may open MQTT connections to this pool; those of
    `spec.gateway.callers` when not set, nobody but the gateway when empty. Enforced by a
    NetworkPolicy, so only where the network plug-in does that."""
    resources: Resources = Resources()
    """Compute resources of each broker."""
    storage: Storage = Storage()
    """Volume of each node."""
    podTemplate: PodTemplate = PodTemplate()
    """What is added to the pods."""


class SubscriberPool(ApiModel):
    """The pool that devices connect to."""

    replicas: Annotated[int | None, Field(ge=1, le=100)] = None
    """Number of nodes; 2 when neither this nor `autoscaling` is set."""
    autoscaling: Autoscaling | None = None
    """Scaling on connection metrics; not together with `replicas`."""
    listeners: Annotated[list[Listener], Field(min_length=1, max_length=8)] = [
        Listener(name="mqtt", port=1883)
    ]
    """Ports on which devices connect."""
    service: SubscriberService = SubscriberService()
    """The Service in front of the pool."""
    disruption: Disruption = Disruption()
    """How fast clients are moved away from a node that leaves or restarts."""
    resources: Resources = Resources()
    """Compute resources of each broker."""
    storage: Storage = Storage()
    """Volume of each node."""
    podTemplate: PodTemplate = PodTemplate()
    """What is added to the pods."""
