"""The configuration files of the operands: `vernemq.conf` and the JSON of our two services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from liveconnect.api import operands
from liveconnect.api.operands import (
    AUTH_AUTHORITY_DIRECTORY,
    BROKER_TLS_DIRECTORY,
    CANARY_MOUNTPOINT,
    HTTPS_DIRECTORY,
    INTROSPECTION_DIRECTORY,
    JWKS_DIRECTORY,
    LARGEST_MESSAGE_BYTES,
    MANAGED_STORE_CA_FILE,
    MOST_MESSAGE_BYTES,
    PRESENCE_SECRETS,
    AuthConfig,
    BrokerAccess,
    ChangesWebhook,
    ClientTls,
    GatewayConfig,
    GatewayHttps,
    IntrospectionProvider,
    JwtProvider,
    PresenceOptions,
    RequestOptions,
    ServerTls,
    StatedRule,
)
from liveconnect.api.v1alpha1 import (
    LISTENER_ACCEPTORS,
    Broker,
    Cluster,
    Introspection,
    Jwt,
    Listener,
    ListenerProtocol,
    Netsplit,
    Presence,
    PublisherTls,
    TlsVersion,
)
from liveconnect.common.policy.backends import (
    gateway_of,
    named_backends,
    replies_to,
    subject_of,
)
from liveconnect.controller.model.certificate import (
    AUTHORITY_KEY,
    CERTIFICATE_KEY,
    PRIVATE_KEY_KEY,
)
from liveconnect.controller.model.names import (
    CANARY_PORT,
    CLUSTERING_PORT,
    DISTRIBUTION_PORTS,
    HOOKS_PORT,
    HOOKS_TLS_PORT,
    HTTP_PORT,
    HTTPS_PORT,
    MQTT_PORT,
    MQTTS_PORT,
    PRESENCE_PORT,
    PRESENCE_TLS_PORT,
    SERVICE_PORT,
    Names,
)
from liveconnect.controller.model.observed import Pool
from liveconnect.controller.model.tls import (
    CALLERS_FILE,
    HOOKS_AUTHORITY_FILE,
    PEER_FILE,
    PUBLISHER_LISTENER,
    STORE_TLS_DIRECTORY,
    TLS_DIRECTORY,
    TlsWays,
    tls_uses,
)
from liveconnect.controller.rendering.engine import render_text

NETSPLIT_SWITCHES = tuple(
    f"allow_{act}_during_netsplit" for act in ("register", "publish", "subscribe", "unsubscribe")
)
AUTH_HOOKS = tuple(
    f"auth_on_{act}{version}"
    for act in ("register", "publish", "subscribe")
    for version in ("", "_m5")
)
#: Hooks that may be held back, so that many clients do not come at once: they have a URL, and so
#: the brokers' connections to it, of their own, or live sessions would wait behind newcomers.
CONNECT_HOOKS = ("auth_on_register", "auth_on_register_m5")
#: Hooks that VerneMQ can ask without the payload (`no_payload`).
PUBLISH_HOOKS = ("auth_on_publish", "auth_on_publish_m5")
#: VerneMQ's `pool_max_connections`: connections for each URL.
_HOOK_CONNECTIONS = 100
#: No on_register_m5 is left out: an MQTT 5 client would never be online. on_client_wakeup is: it
#: says nothing that on_register does not, and each holds the CONNACK back.
PRESENCE_HOOKS = (
    "on_register",
    "on_register_m5",
    "on_client_gone",
    "on_client_offline",
    "on_session_expired",
)
#: Folders of the Secrets that the auth pods mount for presence, and the fields that name them.
PRESENCE_SECRET_FIELDS = {
    "store-ca": "store.external.caSecretRef",
    "bearer": "webhook.bearerSecretRef",
    "signing": "webhook.signingSecretRef",
    "ca": "webhook.caSecretRef",
}
#: Defaults that a `spec.broker.config` entry of the same name replaces.
DEFAULT_OPTIONS = {
    # VerneMQ would take 70 % of the machine, whatever the container may have.
    "leveldb.maximum_memory.percent": "20",
    # 256 KiB, what the gateway takes, and 4 MiB, the most that a node reads from a socket at once
    # (Linux' largest send buffer, by which VerneMQ measures its reads): VerneMQ 2.1.2 compares this
    # with all that has come in together, and beyond it reads nothing any more (ADR 0027).
    "max_message_size": "4456448",
    "persistent_client_expiration": "1w",
    "max_offline_messages": "1000",
    "max_online_messages": "1000",
    "vmq_webhooks.pool_timeout": "30000",
}
_TYPES = {
    ListenerProtocol.MQTT: "tcp",
    ListenerProtocol.MQTTS: "ssl",
    ListenerProtocol.WS: "ws",
    ListenerProtocol.WSS: "wss",
}
_TLS_VERSIONS = {TlsVersion.TLS12: "tlsv1.2,tlsv1.3", TlsVersion.TLS13: "tlsv1.3"}


@dataclass(frozen=True)
class Hook:
    """One registered webhook."""

    name: str
    hook: str
    endpoint: str
    no_payload: bool = False
    """Whether it is told of a message without its payload."""


def is_official_image(image: str) -> bool:
    """Whether this is one of VerneMQ's own images (under their EULA; only they know the key)."""
    repository = image.split("@", maxsplit=1)[0]
    if ":" in repository.rsplit("/", 1)[-1]:
        repository = repository.rsplit(":", 1)[0]
    return repository in {"vernemq/vernemq", "docker.io/vernemq/vernemq"}


def listeners(cluster: Cluster, pool: Pool) -> list[Listener]:
    """The MQTT listeners of a pool."""
    if pool is Pool.SUBSCRIBER:
        return cluster.spec.subscribers.listeners
    if cluster.spec.publishers.tls is not None:
        protocol = ListenerProtocol.MQTTS
        return [Listener(name=PUBLISHER_LISTENER, port=MQTTS_PORT, protocol=protocol)]
    return [Listener(name="mqtt", port=MQTT_PORT)]


def has_tls(cluster: Cluster, pool: Pool) -> bool:
    """Whether the pool's pods need their Secret with certificates."""
    return bool(tls_options(cluster, pool)) or cluster.spec.auth.tls is not None


def hooks(cluster: Cluster, names: Names, pool: Pool) -> list[Hook]:
    """The hooks of a pool's nodes.

    Connects, publishes and subscribes, and presence have endpoints, and so connection pools in the
    broker, of their own; the URL carries what the bodies do not: pool and node. Of what backends
    publish no rule asks how long it is: its payload is not shown.
    """
    base = f"http://{names.host(names.auth)}:{HOOKS_PORT}/hooks"
    if cluster.spec.auth.tls is not None:
        base = f"https://{names.host(names.auth)}:{HOOKS_TLS_PORT}/hooks"
    asking = tuple(hook for hook in AUTH_HOOKS if hook not in CONNECT_HOOKS)
    plans = [("connect", CONNECT_HOOKS), ("auth", asking)]
    if pool is Pool.SUBSCRIBER:
        plans.append(("presence", PRESENCE_HOOKS))
    return [
        Hook(
            name=f"lc_{hook}",
            hook=hook,
            endpoint=f"{base}/{kind}/{pool.value}/@POD@",
            no_payload=pool is Pool.PUBLISHER and hook in PUBLISH_HOOKS,
        )
        for kind, group in plans
        for hook in group
    ]


def tls_options(cluster: Cluster, pool: Pool) -> dict[str, list[tuple[str, str]]]:
    """Options of each listener with TLS, by its name.

    Certificate and key are one file: two could be of two renewals for a moment (ADR 0011).
    """
    options: dict[str, list[tuple[str, str]]] = {}
    for use in tls_uses(cluster):
        if use.pool is not pool:
            continue
        pair = f"{TLS_DIRECTORY}/{use.pair_file}"
        options[use.listener] = [
            ("certfile", pair),
            ("keyfile", pair),
            ("tls_version", _TLS_VERSIONS[use.min_version]),
        ]
        if use.authority_secret is not None:
            options[use.listener] += [
                ("cafile", f"{TLS_DIRECTORY}/{use.authority_file}"),
                ("require_certificate", "on"),
            ]
    return options


def broker_config(cluster: Cluster, names: Names, pool: Pool) -> str:
    """`vernemq.conf` of a pool."""
    broker: Broker = cluster.spec.broker
    tls = tls_options(cluster, pool)
    return render_text(
        "vernemq.conf.j2",
        accept_eula=broker.acceptEULA and is_official_image(broker.image),
        netsplit_switches=NETSPLIT_SWITCHES,
        netsplit_value="on" if broker.netsplit is Netsplit.AVAILABLE else "off",
        distribution_ports=DISTRIBUTION_PORTS,
        clustering_port=CLUSTERING_PORT,
        http_port=HTTP_PORT,
        canary_port=CANARY_PORT,
        canary_mountpoint=CANARY_MOUNTPOINT,
        acceptors=LISTENER_ACCEPTORS,
        listeners=[
            {
                "type": _TYPES[item.protocol],
                "name": item.name,
                "port": item.port,
                "connections_per_acceptor": (item.ceiling or 0) // LISTENER_ACCEPTORS,
                "proxy_protocol": item.proxyProtocol,
                "tls": tls.get(item.name, []),
            }
            for item in listeners(cluster, pool)
        ],
        hooks=hooks(cluster, names, pool),
        hooks_authorities=(
            f"{TLS_DIRECTORY}/{HOOKS_AUTHORITY_FILE}" if cluster.spec.auth.tls else None
        ),
        options=sorted({**DEFAULT_OPTIONS, **broker.config}.items()),
    )


def jwks_path(index: int, jwt: Jwt) -> str | None:
    """Where the auth pods find the key set of the provider with this index, if in a Secret."""
    return f"{JWKS_DIRECTORY}/{index}/{jwt.jwksSecretRef.key}" if jwt.jwksSecretRef else None


def broker_access(names: Names) -> BrokerAccess:
    """Where the auth service finds the brokers: all of them, behind the headless Service."""
    return BrokerAccess(
        hosts=[names.host(names.nodes)],
        port=HTTP_PORT,
        node_suffix=names.node("").partition("@")[2],
        pod_prefix=f"{names.pool(Pool.SUBSCRIBER)}-",
    )


def client_secret_path(index: int, introspection: Introspection) -> str:
    """Where the auth pods find the client secret of the provider with this index."""
    return f"{INTROSPECTION_DIRECTORY}/{index}/{introspection.clientSecretRef.key}"


def _jwt_provider(index: int, jwt: Jwt) -> JwtProvider:
    return JwtProvider(
        issuer=jwt.issuer,
        audiences=jwt.audiences,
        algorithms=jwt.algorithms,
        client_id_claim=jwt.clientIDClaim,
        subject_claim=jwt.subjectClaim,
        groups_claim=jwt.groupsClaim,
        leeway_seconds=jwt.leewaySeconds,
        jwks_uri=jwt.jwksURI,
        jwks_file=jwks_path(index, jwt),
    )


def _introspection_provider(index: int, asked: Introspection) -> IntrospectionProvider:
    return IntrospectionProvider(
        url=asked.url,
        client_id=asked.clientID,
        client_secret_file=client_secret_path(index, asked),
        issuer=asked.issuer,
        audiences=tuple(asked.audiences),
        client_id_claim=asked.clientIDClaim,
        subject_claim=asked.subjectClaim,
        groups_claim=asked.groupsClaim,
        cache_seconds=asked.cacheSeconds,
        leeway_seconds=asked.leewaySeconds,
    )


def presence_options(presence: Presence) -> PresenceOptions:
    """How presence is kept and told."""
    references = presence.secret_references()
    files = {
        purpose: f"{PRESENCE_SECRETS}/{purpose}/{references[path].key}"
        for purpose, path in PRESENCE_SECRET_FIELDS.items()
        if path in references
    }
    webhook = None
    if presence.webhook is not None:
        webhook = ChangesWebhook(
            url=presence.webhook.url,
            bearer_file=files.get("bearer"),
            signing_file=files.get("signing"),
            ca_file=files.get("ca"),
        )
    return PresenceOptions(
        history_seconds=presence.historyHours * 3600,
        forget_seconds=presence.forgetAfterDays * 24 * 3600,
        store_ca_file=files.get("store-ca"),
        webhook=webhook,
    )


def connects(cluster: Cluster) -> operands.Connects:
    """What one pod of the auth service may let in: brokers spread their requests over all pods."""
    spec, replicas = cluster.spec.auth.connects, cluster.spec.auth.replicas
    first_class = spec.priority
    return operands.Connects(
        per_second_per_node=spec.perSecondPerNode / replicas,
        per_second=None if spec.perSecond is None else spec.perSecond / replicas,
        pool_share=_HOOK_CONNECTIONS / replicas,
        priority_claim=first_class.claim if first_class else "",
        first=tuple(first_class.first) if first_class else (),
        last=tuple(first_class.last) if first_class else (),
    )


def auth_config(
    cluster: Cluster,
    names: Names,
    rules: Sequence[StatedRule],
    canary: str = "",
    *,
    plain_api: bool = True,
    store_by_tls: bool = False,
) -> AuthConfig:
    """The auth service's file.

    Args:
        cluster: the cluster object.
        names: of its children.
        rules: the topic rules in force.
        canary: subject of the operator, which tries messages between nodes; empty if it does not.
        plain_api: whether its API is served without TLS.
        store_by_tls: whether it asks the managed store by TLS.
    """
    gateway = gateway_of(cluster)
    presence = presence_options(cluster.spec.presence)
    if store_by_tls:
        presence = presence.model_copy(update={"store_ca_file": MANAGED_STORE_CA_FILE})
    tokens = list(enumerate(cluster.spec.auth.tokens))
    return AuthConfig(
        cluster=f"{cluster.namespace}/{cluster.name}",
        providers=[_jwt_provider(index, p.jwt) for index, p in tokens if p.jwt],
        introspection=tuple(
            _introspection_provider(index, p.introspection)
            for index, p in tokens
            if p.introspection
        ),
        topics=list(rules),
        publishers=[gateway, *named_backends(cluster)],
        readers=[
            gateway.subject,
            *(subject_of(r.serviceAccount) for r in cluster.spec.presence.readers),
        ],
        replies=replies_to(cluster),
        revokers=tuple(subject_of(r.serviceAccount) for r in cluster.spec.auth.revokers),
        presence=presence,
        connects=connects(cluster),
        max_message_bytes=_max_message_bytes(cluster),
        tls=(
            ServerTls(hooks_port=HOOKS_TLS_PORT, api_port=HTTPS_PORT)
            if cluster.spec.auth.tls
            else None
        ),
        plain_api=plain_api,
        canary=canary or None,
        brokers=broker_access(names),
    )


def _broker_tls(tls: PublisherTls) -> ClientTls:
    if tls.gatewaySecretName is None:
        return ClientTls()
    return ClientTls(
        certificate_file=f"{BROKER_TLS_DIRECTORY}/{CERTIFICATE_KEY}",
        key_file=f"{BROKER_TLS_DIRECTORY}/{PRIVATE_KEY_KEY}",
    )


def _auth_known_by() -> ClientTls:
    return ClientTls(ca_file=f"{AUTH_AUTHORITY_DIRECTORY}/{AUTHORITY_KEY}")


def _https(cluster: Cluster, names: Names) -> GatewayHttps | None:
    tls = cluster.spec.gateway.tls
    if tls is None:
        return None
    mutual = tls.clientCASecretName is not None
    peer, callers = (f"{HTTPS_DIRECTORY}/{name}" for name in (PEER_FILE, CALLERS_FILE))
    return GatewayHttps(
        port=HTTPS_PORT,
        host=names.host(names.gateway),
        client_authority_files=(callers, peer) if mutual else (),
        peer=ClientTls(
            ca_file=f"{HTTPS_DIRECTORY}/{AUTHORITY_KEY}",
            certificate_file=peer if mutual else None,
            key_file=peer if mutual else None,
        ),
    )


def _peers(cluster: Cluster, names: Names) -> str:
    pod = f"{names.gateway}-{{ordinal}}.{names.host(names.gateway_pods)}"
    if cluster.spec.gateway.tls is not None:
        return f"https://{pod}:{HTTPS_PORT}"
    return f"http://{pod}:{SERVICE_PORT}"


def _requests(cluster: Cluster) -> RequestOptions | None:
    stated = cluster.spec.gateway.requests
    if stated is None:
        return None
    return RequestOptions(
        topic=stated.topic,
        reply_topic=stated.replyTopic,
        max_reply_bytes=stated.maxReplyBytes,
        max_pending=stated.maxPending,
    )


def auth_url(names: Names, *, https: bool) -> str:
    """Where the auth service's API is."""
    host = names.host(names.auth)
    return f"https://{host}:{HTTPS_PORT}" if https else f"http://{host}:{SERVICE_PORT}"


def gateway_config(
    cluster: Cluster, names: Names, pods: int, *, auth_by_https: bool = False
) -> dict[str, Any]:
    """The gateway's file, for so many pods and this way of asking the auth service.

    The brokers' own bounds are the gateway's, too: who exceeds them loses the connection, and
    that one is all callers'.
    """
    tls = cluster.spec.publishers.tls
    config = GatewayConfig(
        cluster=f"{cluster.namespace}/{cluster.name}",
        broker_host=names.host(names.pool(Pool.PUBLISHER)),
        broker_nodes=names.host(names.publisher_nodes),
        broker_port=MQTTS_PORT if tls else MQTT_PORT,
        broker_tls=_broker_tls(tls) if tls else None,
        presence_url=auth_url(names, https=auth_by_https),
        presence_tls=_auth_known_by() if auth_by_https else None,
        callers=named_backends(cluster),
        client_topic=cluster.spec.gateway.clientTopic,
        group_topic=cluster.spec.gateway.groupTopic,
        requests=_requests(cluster),
        replicas=pods,
        peers=_peers(cluster, names),
        https=_https(cluster, names),
        max_outbox_messages=cluster.spec.gateway.outbox.maxMessages,
    )
    bounds = {
        "max_message_bytes": min(_bound(cluster, "max_message_size") or 0, MOST_MESSAGE_BYTES),
        "max_topic_levels": _bound(cluster, "topic_max_depth"),
    }
    given = {name: bound for name, bound in bounds.items() if bound}
    return config.model_copy(update=given).model_dump(mode="json")


def _max_message_bytes(cluster: Cluster) -> int:
    """The largest message that the auth service reads; 0: no bound of the brokers'."""
    given = _bound(cluster, "max_message_size")
    return LARGEST_MESSAGE_BYTES if given is None else given


def _bound(cluster: Cluster, key: str) -> int | None:
    """A bound of `spec.broker.config`; what is no number is the broker's to complain about."""
    value = cluster.spec.broker.config.get(key, "")
    return int(value) if value.isascii() and value.isdecimal() else None


def store_config(ways: TlsWays, *, tls: bool) -> str:
    """`valkey.conf` of the managed store.

    Args:
        ways: How it is asked.
        tls: Whether it serves TLS.
    """
    return render_text(
        "valkey.conf.j2",
        port=PRESENCE_PORT if ways.plain else 0,
        tls_port=PRESENCE_TLS_PORT if tls else 0,
        directory=STORE_TLS_DIRECTORY,
    )
