"""The configuration files that the operator writes and the auth service and the gateway read.

Stated once, here: the controller renders these models as JSON into a ConfigMap, the process parses
the very same models. Secrets are never inside, only paths of files that hold them.
"""

from __future__ import annotations

import hashlib

from liveconnect.api.v1alpha1 import (
    CLIENT_TOPIC,
    GROUP_TOPIC,
    REPLY_TOPIC,
    REQUEST_TOPIC,
    Algorithm,
    ApiModel,
    TopicRule,
)

#: Audience of the ServiceAccount tokens that backends present.
AUDIENCE = "liveconnect"

#: Mountpoint of the brokers' private listener, by which the operator tries messages between nodes.
#: VerneMQ keeps topics and client ids of each mountpoint apart: no client ever meets the canary.
CANARY_MOUNTPOINT = "liveconnect-canary"
#: The one topic there. Not `$…`: VerneMQ drops what is published to such topics without a word.
CANARY_TOPIC = "canary"

#: The largest message where the object names none.
LARGEST_MESSAGE_BYTES = 256 * 1024

#: Longer messages are not read by the auth service, whatever the brokers take: a few of them at
#: once would be all of its memory.
MOST_MESSAGE_BYTES = 16 * 1024 * 1024

#: Where the pods of our services find their files.
CONFIG_FILE = "/etc/liveconnect/config/config.json"
JWKS_DIRECTORY = "/etc/liveconnect/jwks"
INTROSPECTION_DIRECTORY = "/etc/liveconnect/introspection"
PRESENCE_URL_FILE = "/etc/liveconnect/presence/url"
AUTH_TLS_DIRECTORY = "/etc/liveconnect/tls"
BROKER_TLS_DIRECTORY = "/etc/liveconnect/publishers"
HTTPS_DIRECTORY = "/etc/liveconnect/https"
AUTH_AUTHORITY_DIRECTORY = "/etc/liveconnect/auth"
PRESENCE_SECRETS = "/etc/liveconnect/presence-secrets"
MANAGED_STORE_CA_FILE = f"{PRESENCE_SECRETS}/managed/tls.crt"
BROKER_KEY_FILE = "/etc/liveconnect/broker/api-key"
TOKEN_FILE = "/var/run/secrets/liveconnect.io/token"  # noqa: S105 - a path
OUTBOX_FILE = "/var/lib/liveconnect/outbox/outbox.db"
API_TOKEN_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - a path
API_CA_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"


class JwtProvider(ApiModel):
    """One issuer of devices' access tokens."""

    issuer: str
    """Exact `iss`."""
    audiences: list[str]
    """One of these must be in `aud`."""
    algorithms: list[Algorithm]
    """Accepted signature algorithms."""
    client_id_claim: str
    """Claim that must equal the MQTT client id."""
    groups_claim: str = "groups"
    """Claim that names the device's groups."""
    leeway_seconds: int
    """Tolerated clock difference."""
    subject_claim: str = "sub"
    """Claim that says whose token it is."""
    jwks_uri: str | None = None
    """Where the keys are fetched from, or"""
    jwks_file: str | None = None
    """the file that holds them; without both they are discovered from the issuer."""


class IntrospectionProvider(ApiModel):
    """One authorization server that is asked about tokens (RFC 7662)."""

    url: str
    """The introspection endpoint."""
    client_id: str
    """The client as which we ask."""
    client_secret_file: str
    """File with that client's secret; read at each request, so that it can be rotated."""
    issuer: str | None = None
    """Required `iss` where an answer has one; JWTs of this issuer are asked about, too."""
    audiences: tuple[str, ...] = ()
    """If any, one of these must be in `aud`."""
    client_id_claim: str = "client_id"
    """Member of the answer that must equal the MQTT client id."""
    subject_claim: str = "sub"
    """Member that says whose token it is."""
    groups_claim: str = "groups"
    """Member that lists groups."""
    cache_seconds: int = 60
    """How long a good answer is used at most."""
    leeway_seconds: int = 5
    """Tolerated clock difference."""


class ServiceAccountVerification(ApiModel):
    """How tokens of Kubernetes ServiceAccounts are verified: against the API server's own keys."""

    jwks_uri: str = "https://kubernetes.default.svc/openid/v1/jwks"
    """The API server's key set."""
    token_file: str = API_TOKEN_FILE
    """Own token, presented to read the keys; its `iss` is the issuer that others must have."""
    ca_file: str = API_CA_FILE
    """The API server's CA."""
    audience: str = AUDIENCE
    """Required audience."""


class Publisher(ApiModel):
    """A backend that may publish."""

    subject: str
    """`system:serviceaccount:<namespace>:<name>`."""
    publish: list[str]
    """Topic filters that it may publish to."""
    messages_per_second: int | None = None
    """Messages that it may publish through each pod of the gateway in a second; any number if not
    set."""


class Connects(ApiModel):
    """How fast one replica of the auth service lets devices in."""

    per_second_per_node: float = 500.0
    """Its share of a node's bound."""
    per_second: float | None = None
    """Its share of the cluster's bound, if there is one."""
    pool_share: float = 100.0
    """Its share of the connections that a node has for this hook (VerneMQ: 100)."""
    priority_claim: str = ""
    """Claim that says a device's class."""
    first: tuple[str, ...] = ()
    """Values of those who go first."""
    last: tuple[str, ...] = ()
    """Values of those who go last."""


class Replies(ApiModel):
    """Who answers the gateway's requests, and who hears it."""

    topic: str = REPLY_TOPIC
    """First levels of the topics of answers, with `{clientId}`; pod and request follow."""
    max_bytes: int = 65536
    """Largest answer."""
    gateway: str
    """Subject of the gateway's ServiceAccount, whose pods hear the answers."""


class BrokerAccess(ApiModel):
    """How the auth service asks the brokers who is connected."""

    hosts: list[str]
    """Host names or addresses; each stands for all addresses that it resolves to."""
    port: int = 8888
    """Port of the management API and of `/metrics`."""
    node_suffix: str
    """What follows a pod's name in its node's name: `.<headless Service>.<namespace>.svc.…`."""
    pod_prefix: str
    """What the names of the subscriber pool's pods begin with; only these have devices."""
    api_key_file: str = BROKER_KEY_FILE
    """File with the key of the management API."""


class StatedRule(TopicRule):
    """A topic rule, and where it is stated."""

    source: str = ""
    """For people: `spec.auth.topics[0]`, or the `LiveConnectTopic` object and its rule."""


class ChangesWebhook(ApiModel):
    """Where changes of presence are posted to."""

    url: str
    """Endpoint."""
    bearer_file: str | None = None
    """File with the token that is sent."""
    signing_file: str | None = None
    """File with the key that batches are signed with."""
    ca_file: str | None = None
    """File with the certificates that the endpoint's is verified by."""


class PresenceOptions(ApiModel):
    """How presence is kept and told."""

    history_seconds: int = 24 * 3600
    """How long a client's last changes are kept; 0 keeps none."""
    forget_seconds: int = 30 * 24 * 3600
    """When clients that do not come back are forgotten."""
    store_ca_file: str | None = None
    """File with the certificates that the store's is verified by."""
    webhook: ChangesWebhook | None = None
    """Where changes are posted to."""


class ServerTls(ApiModel):
    """Files of the auth service's certificate; a renewed one is served to new connections."""

    certificate_file: str = f"{AUTH_TLS_DIRECTORY}/tls.crt"
    """Certificate and intermediates."""
    key_file: str = f"{AUTH_TLS_DIRECTORY}/tls.key"
    """Its key."""
    hooks_port: int = 8444
    """Where hooks are served."""
    api_port: int = 8443
    """Where everything but hooks is served."""


class AuthConfig(ApiModel):
    """Everything that the auth service decides by."""

    cluster: str
    """`<namespace>/<name>` of the LiveConnectCluster, for logs and metrics."""
    providers: list[JwtProvider]
    """Issuers of devices' tokens."""
    introspection: tuple[IntrospectionProvider, ...] = ()
    """Authorization servers that are asked about tokens that are no JWTs, in this order."""
    topics: list[StatedRule]
    """Topic rules of devices; default deny."""
    publishers: list[Publisher]
    """Backends that may connect to the publisher pool, and where they may publish."""
    readers: list[str]
    """Subjects (`system:serviceaccount:…`) that may read presence."""
    replies: Replies | None = None
    """Answers of devices to the gateway's requests; there are none when not set."""
    revokers: tuple[str, ...] = ()
    """Subjects that may revoke tokens."""
    service_accounts: ServiceAccountVerification = ServiceAccountVerification()
    """How backends' tokens are verified."""
    presence_url_file: str = PRESENCE_URL_FILE
    """File with the store's URL, password included."""
    presence: PresenceOptions = PresenceOptions()
    """How presence is kept and told."""
    connects: Connects = Connects()
    """How fast devices are let in when many come at once."""
    max_message_bytes: int = LARGEST_MESSAGE_BYTES
    """Largest MQTT message that the brokers take, and so ask about; 0: they know no bound."""
    tls: ServerTls | None = None
    """Certificate of the ports with TLS; there are none when not set."""
    plain_api: bool = True
    """Whether the port without TLS answers all, not only kubelet, monitors and operator."""
    canary: str | None = None
    """Subject that may try messages between the nodes, on the brokers' private listener; nobody if
    not set."""
    brokers: BrokerAccess | None = None
    """How the brokers are asked; without it presence is what the hooks tell, and nothing else."""

    def rules_digest(self) -> str:
        """Sixteen hex digits that change when the rules do."""
        text = self.model_dump_json(include=set(_RULES))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


_RULES = ("topics", "publishers", "replies")
#: Fields of `AuthConfig` that a running auth service takes from its file whenever that changes.
#: The others are for its start: the pods are replaced when one of them changes.
RELOADED = (*_RULES, "plain_api")


class ClientTls(ApiModel):
    """Files of a TLS client's; read anew for new connections."""

    ca_file: str = f"{BROKER_TLS_DIRECTORY}/ca.crt"
    """Authorities of the server's certificate."""
    certificate_file: str | None = None
    """Own certificate and intermediates, for mutual TLS."""
    key_file: str | None = None
    """Its key."""


class GatewayHttps(ApiModel):
    """Files of the gateway's HTTPS; renewed ones are for new connections."""

    port: int = 8443
    """Where the API is served; the other port is left with what tells of the process."""
    certificate_file: str = f"{HTTPS_DIRECTORY}/tls.crt"
    """Certificate and intermediates."""
    key_file: str = f"{HTTPS_DIRECTORY}/tls.key"
    """Its key."""
    client_authority_files: tuple[str, ...] = ()
    """Authorities of the certificates that callers and the other pods must have; they need none
    when empty."""
    host: str
    """Name that the certificate is for, whichever pod shows it."""
    peer: ClientTls
    """How the other pods are known, and who this one is to them."""


class RequestOptions(ApiModel):
    """Requests to devices, and their answers."""

    topic: str = REQUEST_TOPIC
    """First levels of the topics of requests, with `{clientId}`; pod and request follow."""
    reply_topic: str = REPLY_TOPIC
    """The same of answers."""
    max_reply_bytes: int = 65536
    """Largest answer."""
    max_pending: int = 1000
    """Requests that wait for an answer at a time."""


class GatewayConfig(ApiModel):
    """Everything that the gateway decides by."""

    cluster: str
    """`<namespace>/<name>` of the LiveConnectCluster, for logs and metrics."""
    broker_host: str
    """Host name of the publisher pool's Service."""
    broker_port: int = 1883
    """Its MQTT port."""
    broker_nodes: str = ""
    """Host name that resolves to each of its ready nodes."""
    broker_tls: ClientTls | None = None
    """How the publishers are known and who we are; plain MQTT when not set."""
    token_file: str = TOKEN_FILE
    """Own ServiceAccount token (audience `liveconnect`), the MQTT user name; rotated in place."""
    presence_url: str = ""
    """The auth service, which says who is online."""
    presence_tls: ClientTls | None = None
    """How the auth service is known where it is asked by HTTPS."""
    callers: list[Publisher]
    """Who may publish what."""
    client_topic: str = CLIENT_TOPIC
    """Topic of the client `{clientId}`."""
    group_topic: str = GROUP_TOPIC
    """Topic of the group `{group}`."""
    requests: RequestOptions | None = None
    """Requests to devices; off when not set."""
    service_accounts: ServiceAccountVerification = ServiceAccountVerification()
    """How callers' tokens are verified."""
    max_inflight: int = 1000
    """Messages that wait for the broker's acknowledgement at most."""
    replicas: int = 1
    """Pods of the gateway, numbered from 0."""
    peers: str = ""
    """URL of the pod `{ordinal}`."""
    https: GatewayHttps | None = None
    """HTTPS for callers and between the pods; plain HTTP when not set."""
    outbox_file: str = OUTBOX_FILE
    """Messages that were accepted and are not published yet."""
    max_outbox_messages: int = 200_000
    """Messages that the outbox holds at most; beyond it callers get 503."""
    max_message_bytes: int = LARGEST_MESSAGE_BYTES
    """Largest message (bytes), topic and properties included: what the brokers take."""
    max_topic_levels: int = 10
    """Most levels of a topic name; VerneMQ's own default of `topic_max_depth`."""

    @property
    def reply_filter(self) -> str:
        """Filter of devices' answers; empty if there are none."""
        if self.requests is None:
            return ""
        return self.requests.reply_topic.replace("{clientId}", "+") + "/+/+"
