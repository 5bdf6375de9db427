"""`spec.presence` and `spec.gateway`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from liveconnect.api.v1alpha1.accounts import ServiceAccountReference
from liveconnect.api.v1alpha1.auth import SecretKeyReference
from liveconnect.api.v1alpha1.base import ApiModel, TopicFilter
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


class ExternalStore(ApiModel):
    """A Valkey or Redis that you run."""

    urlSecretRef: SecretKeyReference
    """Secret key with the URL (`redis://…` or `rediss://…`)."""


class PresenceStore(ApiModel):
    """Where presence is kept: managed unless `external` is given."""

    managed: ManagedStore | None = None
    """A store that the operator runs."""
    external: ExternalStore | None = None
    """A store that you run."""


class Reader(ApiModel):
    """A backend that may read presence."""

    serviceAccount: ServiceAccountReference
    """Its ServiceAccount; it presents a token with audience `liveconnect`."""


class Presence(ApiModel):
    """Which clients are online."""

    store: PresenceStore = PresenceStore()
    """Where it is kept."""
    readers: Annotated[list[Reader], Field(max_length=100)] = []
    """Who may ask."""


class Caller(ApiModel):
    """A microservice that may publish, through the gateway or as MQTT client on the publishers."""

    serviceAccount: ServiceAccountReference
    """Its ServiceAccount; it presents a token with audience `liveconnect`."""
    publish: Annotated[list[TopicFilter], Field(min_length=1, max_length=64)]
    """Topic filters that it may publish to."""


#: Levels around the one that the name is put in; no wildcards, nothing of the broker's own.
_TEMPLATE = r"^([^#+$/{{}}][^#+/{{}}]*/([^#+/{{}}]+/)*)?\{{{name}\}}(/[^#+/{{}}]+)*$"
CLIENT_TOPIC = "clients/{clientId}/inbox"
GROUP_TOPIC = "groups/{group}/inbox"
ClientTopic = Annotated[str, Field(max_length=512, pattern=_TEMPLATE.format(name="clientId"))]
GroupTopic = Annotated[str, Field(max_length=512, pattern=_TEMPLATE.format(name="group"))]


class Outbox(ApiModel):
    """Messages that were accepted and that no broker has acknowledged yet, on disk."""

    storage: Storage = Storage()
    """Volume of each pod. One that scaling down leaves behind is always kept: there may be messages
    in it, and the pod of that name will publish them."""
    maxMessages: Annotated[int, Field(ge=1000, le=10_000_000)] = 200_000
    """Messages that each pod keeps at most; beyond it callers get 503."""


class Gateway(ApiModel):
    """The publisher gateway: HTTP in, MQTT to the publisher pool out."""

    replicas: Annotated[int, Field(ge=1, le=50)] = 2
    """Number of pods."""
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
