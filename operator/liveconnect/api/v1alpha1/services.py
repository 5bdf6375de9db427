"""`spec.presence` and `spec.gateway`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from liveconnect.api.v1alpha1.accounts import ServiceAccountReference
from liveconnect.api.v1alpha1.auth import SecretKeyReference
from liveconnect.api.v1alpha1.base import ApiModel, ObjectName, TopicFilter
from liveconnect.api.v1alpha1.podtemplate import PodTemplate
from liveconnect.api.v1alpha1.pools import Storage
from liveconnect.api.v1alpha1.resources import Resources


class ManagedStore(ApiModel):
    """A Valkey that the operator runs."""

    image: Annotated[str | None, Field(min_length=1, max_length=512, pattern=r"^\S*$")] = None
    """Valkey or Redis image; the operator's default when not set."""
    storage: Storage = Storage()
    """Volume of the store."""
    resources: Resources = Resources()
    """Compute resources of the store."""
    podTemplate: PodTemplate = PodTemplate()
    """What is added to the pod."""


#: Made once: a model's defaults are copied each time, and every pass asks often.
_DEFAULT_STORE = ManagedStore()


class ExternalStore(ApiModel):
    """A Valkey or Redis that you run."""

    urlSecretRef: SecretKeyReference
    """Secret key with the URL: `redis://user:password@host:6379/0`; Sentinel,
    `redis+sentinel://user:password@a:26379,b:26379/mymaster/0`; or a cluster,
    `redis+cluster://user:password@a:6379,b:6379`. Each also with `rediss` for TLS."""
    caSecretRef: SecretKeyReference | None = None
    """Secret key with the certificates (PEM) that the store's is verified by; public CAs when not
    set. For `rediss…` URLs."""


class PresenceStore(ApiModel):
    """Where presence is kept: managed unless `external` is given."""

    managed: ManagedStore | None = None
    """A store that the operator runs."""
    external: ExternalStore | None = None
    """A store that you run."""

    @property
    def settings(self) -> ManagedStore:
        """How the managed store is to be, whether or not anything is said of it."""
        return self.managed or _DEFAULT_STORE


class Reader(ApiModel):
    """A backend that may read presence."""

    serviceAccount: ServiceAccountReference
    """Its ServiceAccount; it presents a token with audience `liveconnect`."""


class PresenceWebhook(ApiModel):
    """Where changes of presence are posted to, as batches of CloudEvents; at least once each."""

    url: Annotated[str, Field(max_length=2048, pattern=r"^https?://[^\s#]+$")]
    """Endpoint; any 2xx accepts a batch."""
    bearerSecretRef: SecretKeyReference | None = None
    """Secret key with a token that is sent as `Authorization: Bearer`."""
    signingSecretRef: SecretKeyReference | None = None
    """Secret key with the key (`whsec_…`, or base64) that batches are signed with, as Standard
    Webhooks has it: `webhook-id`, `webhook-timestamp`, `webhook-signature`."""
    caSecretRef: SecretKeyReference | None = None
    """Secret key with the certificates (PEM) that the endpoint's is verified by; public CAs when
    not set."""


class Presence(ApiModel):
    """Which clients are online."""

    store: PresenceStore = PresenceStore()
    """Where it is kept."""
    readers: Annotated[list[Reader], Field(max_length=100)] = []
    """Who may ask."""
    historyHours: Annotated[int, Field(ge=0, le=720)] = 24
    """How long a client's last 32 changes are kept (hours); 0 keeps none."""
    forgetAfterDays: Annotated[int, Field(ge=1, le=3650)] = 30
    """When clients that do not come back are forgotten (days)."""
    webhook: PresenceWebhook | None = None
    """Where changes are posted to; nowhere when not set."""

    def secret_references(self) -> dict[str, SecretKeyReference]:
        """Return the Secrets that this refers to, by the path of the field."""
        external, webhook = self.store.external, self.webhook
        found: dict[str, SecretKeyReference | None] = {}
        if external is not None:
            found["store.external.urlSecretRef"] = external.urlSecretRef
            found["store.external.caSecretRef"] = external.caSecretRef
        if webhook is not None:
            found["webhook.bearerSecretRef"] = webhook.bearerSecretRef
            found["webhook.signingSecretRef"] = webhook.signingSecretRef
            found["webhook.caSecretRef"] = webhook.caSecretRef
        return {path: reference for path, reference in found.items() if reference is not None}


class Caller(ApiModel):
    """A microservice that may publish, through the gateway or as MQTT client on the publishers."""

    serviceAccount: ServiceAccountReference
    """Its ServiceAccount; it presents a token with audience `liveconnect`."""
    publish: Annotated[list[TopicFilter], Field(min_length=1, max_length=64)]
    """Topic filters that it may publish to."""
    messagesPerSecond: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    """Messages that it may publish through the gateway in a second, in bursts of at most one
    second's worth; beyond it 429. Each of the pods that are ready grants an equal share of it. Any
    number if not set."""


#: Levels around the one that the name is put in; no wildcards, nothing of the broker's own.
_TEMPLATE = r"^([^#+$/{{}}][^#+/{{}}]*/([^#+/{{}}]+/)*)?\{{{name}\}}(/[^#+/{{}}]+)*$"
CLIENT_TOPIC = "clients/{clientId}/inbox"
GROUP_TOPIC = "groups/{group}/inbox"
REQUEST_TOPIC = "clients/{clientId}/requests"
REPLY_TOPIC = "clients/{clientId}/replies"
ClientTopic = Annotated[str, Field(max_length=512, pattern=_TEMPLATE.format(name="clientId"))]
GroupTopic = Annotated[str, Field(max_length=512, pattern=_TEMPLATE.format(name="group"))]


class Outbox(ApiModel):
    """Messages that were accepted and that no broker has acknowledged yet, on disk."""

    storage: Storage = Storage()
    """Volume of each pod. One that scaling down leaves behind is always kept: there may be messages
    in it, and the pod of that name will publish them."""
    maxMessages: Annotated[int, Field(ge=1000, le=10_000_000)] = 200_000
    """Messages that each pod keeps at most; beyond it callers get 503."""


class GatewayTls(ApiModel):
    """TLS between microservices and the gateway: their tokens are sent there."""

    secretName: ObjectName
    """Secret with `tls.crt` and `tls.key`, for the host name `<name>-gateway.<namespace>.svc`, and
    `ca.crt`, by which the gateway's pods know each other. A renewed certificate is served without a
    restart."""
    clientCASecretName: ObjectName | None = None
    """Secret with `ca.crt`: only callers with a certificate of these authorities may connect
    (mutual TLS). They need their token all the same."""


class Requests(ApiModel):
    """Requests to devices: `POST /v1/clients/{id}/requests`.

    While they are on, each device may publish answers to its own reply topics, and nobody else may.
    """

    topic: ClientTopic = REQUEST_TOPIC
    """First levels of the topics that requests are published to; two follow, the gateway's pod and
    the request. Devices need a rule to subscribe, callers one to publish to them."""
    replyTopic: ClientTopic = REPLY_TOPIC
    """First levels of the topics that devices answer to; the same two levels follow."""
    maxReplyBytes: Annotated[int, Field(ge=1, le=268435455)] = 65536
    """Largest answer (bytes)."""
    maxPending: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Requests of each pod that wait for an answer at a time; beyond it callers get 503."""


class Gateway(ApiModel):
    """The publisher gateway: HTTP in, MQTT to the publisher pool out."""

    replicas: Annotated[int, Field(ge=1, le=50)] = 2
    """Number of pods."""
    tls: GatewayTls | None = None
    """HTTPS on port 8443 in place of plain HTTP on port 8080."""
    resources: Resources = Resources()
    """Compute resources of each pod."""
    podTemplate: PodTemplate = PodTemplate()
    """What is added to the pods."""
    callers: Annotated[list[Caller], Field(max_length=100)] = []
    """Who may publish what; nobody else may."""
    outbox: Outbox = Outbox()
    """Where messages wait while the brokers are away."""
    clientTopic: ClientTopic = CLIENT_TOPIC
    """Topic that `POST /v1/clients/{id}/messages` publishes to; `{clientId}` is a level of it."""
    groupTopic: GroupTopic = GROUP_TOPIC
    """Topic that `POST /v1/groups/{group}/messages` publishes to; `{group}` is a level of it."""
    requests: Requests | None = None
    """Requests to devices; off when not set."""
