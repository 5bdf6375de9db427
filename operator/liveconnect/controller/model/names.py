"""Names and labels of everything that belongs to one cluster object. Stated once, here."""

from __future__ import annotations

from dataclasses import dataclass

from liveconnect.controller.model.observed import Pool

#: Field manager of every apply (KEP-555).
FIELD_MANAGER = "liveconnect-operator"
CLUSTER_LABEL = "liveconnect.io/cluster"
POOL_LABEL = "liveconnect.io/pool"
#: On a volume claim: which life of its node it serves, and that this life is over.
LIFE_ANNOTATION = "liveconnect.io/life"
RETIRED_ANNOTATION = "liveconnect.io/retired"
#: Key of a pool's ConfigMap: pods whose volume serves a later life than its first.
LIVES_KEY = "lives"
LEAVING_ANNOTATION = "liveconnect.io/leaving"
RESTARTING_ANNOTATION = "liveconnect.io/restarting"
MAINTENANCE_ANNOTATION = "liveconnect.io/maintenance"
DRAIN_SINCE_ANNOTATION = "liveconnect.io/drain-since"
RULES_ANNOTATION = "liveconnect.io/rules"
OPERATOR_APP = "liveconnect-operator"

#: Ports that every broker has, whatever its listeners.
HTTP_PORT = 8888
CLUSTERING_PORT = 44053
#: The private listener, by which the operator tries messages between nodes.
CANARY_PORT = 44054
EPMD_PORT = 4369
DISTRIBUTION_PORTS = (9100, 9109)
MQTT_PORT = 1883
MQTTS_PORT = 8883
SERVICE_PORT = 8080
HOOKS_PORT = 8081
HOOKS_TLS_PORT = 8444
HTTPS_PORT = 8443
PRESENCE_PORT = 6379
PRESENCE_TLS_PORT = 6380


@dataclass(frozen=True)
class Names:
    """Names of the children of one cluster object."""

    cluster: str
    namespace: str
    domain: str = "cluster.local"

    @property
    def nodes(self) -> str:
        """The headless Service that gives every broker pod its DNS name."""
        return f"{self.cluster}-nodes"

    @property
    def broker(self) -> str:
        """The brokers' ServiceAccount and Secret."""
        return f"{self.cluster}-broker"

    @property
    def auth(self) -> str:
        """The auth service."""
        return f"{self.cluster}-auth"

    @property
    def gateway(self) -> str:
        """The publisher gateway."""
        return f"{self.cluster}-gateway"

    @property
    def publisher_nodes(self) -> str:
        """The headless Service that resolves to the publisher pool's ready nodes."""
        return f"{self.cluster}-publisher-nodes"

    @property
    def gateway_pods(self) -> str:
        """The headless Service that gives every pod of the gateway its DNS name."""
        return f"{self.cluster}-gateway-pods"

    @property
    def presence(self) -> str:
        """The managed presence store."""
        return f"{self.cluster}-presence"

    @property
    def presence_tls(self) -> str:
        """The Secret with the managed store's certificate."""
        return f"{self.presence}-tls"

    def pool(self, pool: Pool) -> str:
        """StatefulSet, Service, ConfigMap and PodDisruptionBudget of a pool."""
        return f"{self.cluster}-{pool.value}"

    def tls(self, pool: Pool) -> str:
        """The Secret with the certificates that a pool serves."""
        return f"{self.pool(pool)}-tls"

    @property
    def gateway_tls(self) -> str:
        """The Secret with what the gateway needs for TLS to the publishers."""
        return f"{self.gateway}-tls"

    @property
    def gateway_https(self) -> str:
        """The Secret with what the gateway's HTTPS needs."""
        return f"{self.gateway}-https"

    @property
    def auth_tls(self) -> str:
        """The Secret with the auth service's certificate, and by whom it is known."""
        return f"{self.auth}-tls"

    def pod(self, pool: Pool, ordinal: int) -> str:
        """A broker pod."""
        return f"{self.pool(pool)}-{ordinal}"

    def claim(self, pod: str) -> str:
        """A broker pod's volume claim, as the StatefulSet controller names it."""
        return f"data-{pod}"

    def node(self, pod: str) -> str:
        """The VerneMQ node name of a pod: its FQDN, as Erlang wants it."""
        return f"VerneMQ@{pod}.{self.nodes}.{self.namespace}.svc.{self.domain}"

    @staticmethod
    def pod_of(node: str) -> str:
        """The pod of a VerneMQ node name."""
        return node.partition("@")[2].partition(".")[0]

    def host(self, service: str) -> str:
        """DNS name of one of the Services."""
        return f"{service}.{self.namespace}.svc"

    def subject(self, service_account: str) -> str:
        """User name of one of the cluster's own ServiceAccounts."""
        return f"system:serviceaccount:{self.namespace}:{service_account}"

    def selector(self, component: str) -> dict[str, str]:
        """Labels that select the pods of one component; they never change."""
        return {
            "app.kubernetes.io/name": "liveconnect",
            "app.kubernetes.io/instance": self.cluster,
            "app.kubernetes.io/component": component,
        }
