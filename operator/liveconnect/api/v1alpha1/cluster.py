"""`LiveConnectCluster`, the object."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from liveconnect.api.v1alpha1.auth import Auth
from liveconnect.api.v1alpha1.base import ApiModel
from liveconnect.api.v1alpha1.broker import Broker
from liveconnect.api.v1alpha1.pools import PublisherPool, SubscriberPool
from liveconnect.api.v1alpha1.services import Gateway, Presence

GROUP = "liveconnect.io"
VERSION = "v1alpha1"
KIND = "LiveConnectCluster"
PLURAL = "liveconnectclusters"
API_VERSION = f"{GROUP}/{VERSION}"

#: Annotation with which a user stops the operator's writes to this object's children.
PAUSED_ANNOTATION = f"{GROUP}/paused"
#: Annotation whose every new value restarts all pods, in the way of any other roll.
RESTART_ANNOTATION = f"{GROUP}/restart"
#: Annotation whose every new value makes the operator apply all children again.
RECONCILE_ANNOTATION = f"{GROUP}/reconcile"
#: Another value makes a new key of the brokers' management API, live.
ROTATE_API_KEY_ANNOTATION = f"{GROUP}/rotate-api-key"
#: Another value makes a new Erlang cookie: all broker nodes restart at once.
ROTATE_COOKIE_ANNOTATION = f"{GROUP}/rotate-cookie"

#: Pods of the longest child, `<cluster>-subscriber-99`, and the label values must fit 63 characters.
MAX_NAME_LENGTH = 40


class Spec(ApiModel):
    """What is wanted."""

    broker: Broker = Broker()
    """The broker of both pools."""
    publishers: PublisherPool = PublisherPool()
    """The hidden pool, for backend MQTT clients."""
    subscribers: SubscriberPool = SubscriberPool()
    """The pool that devices connect to."""
    auth: Auth
    """Who may connect, and to which topics."""
    presence: Presence = Presence()
    """Which clients are online."""
    gateway: Gateway = Gateway()
    """HTTP publishing for microservices."""
    hibernate: bool = False
    """Whether it shall sleep: no pod of it runs, all its volumes are kept whatever
    `storage.retention` says, and with them sessions and their messages. Every connection ends.
    Set to false again, all nodes come back with their disks before clients are let in. Other
    changes take effect when it is awake."""

    def initial_subscribers(self) -> int:
        """Nodes of the subscriber pool before anything was measured."""
        if self.subscribers.autoscaling is not None:
            return self.subscribers.autoscaling.minReplicas
        return self.subscribers.replicas or 2


class Cluster(ApiModel):
    """A `LiveConnectCluster` as the operator works with it: identity and parsed spec."""

    name: str = Field(max_length=MAX_NAME_LENGTH)
    """`metadata.name`."""
    namespace: str
    """`metadata.namespace`."""
    uid: str
    """`metadata.uid`, for owner references."""
    generation: int
    """`metadata.generation`."""
    spec: Spec
    """The parsed spec."""
    annotations: dict[str, str] = {}
    """`metadata.annotations`."""

    @property
    def paused(self) -> bool:
        """Whether the operator shall only look."""
        return self.annotations.get(PAUSED_ANNOTATION, "").lower() == "true"

    @property
    def restart(self) -> str:
        """What the last restart was asked for with; empty when none was."""
        return self.annotations.get(RESTART_ANNOTATION, "")

    @property
    def rotate_api_key(self) -> str:
        """Which rotation of the API key is asked for; empty for none."""
        return self.annotations.get(ROTATE_API_KEY_ANNOTATION, "")

    @property
    def rotate_cookie(self) -> str:
        """Which rotation of the cookie is asked for; empty for none."""
        return self.annotations.get(ROTATE_COOKIE_ANNOTATION, "")

    @property
    def reconcile(self) -> str:
        """What the last forced pass was asked for with; empty when none was."""
        return self.annotations.get(RECONCILE_ANNOTATION, "")

    @classmethod
    def parse(cls, body: dict[str, Any]) -> Cluster:
        """Build from the API server's JSON.

        Raises:
            pydantic.ValidationError: with one entry per wrong field, paths as in the object.
        """
        meta = body["metadata"]
        return cls.model_validate(
            {
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
                "generation": meta.get("generation", 1),
                "spec": body.get("spec") or {},
                "annotations": dict(meta.get("annotations") or {}),
            }
        )
