"""`LiveConnectTopic`: topic rules that an application's team owns, in its own namespace."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from liveconnect.api.v1alpha1.base import ApiModel, NamespaceName
from liveconnect.api.v1alpha1.cluster import MAX_NAME_LENGTH
from liveconnect.api.v1alpha1.rules import TopicRule
from liveconnect.api.v1alpha1.status import Condition

TOPIC_KIND = "LiveConnectTopic"
TOPIC_PLURAL = "liveconnecttopics"


class ClusterReference(ApiModel):
    """The cluster object that the rules are for."""

    namespace: NamespaceName | None = None
    """Its namespace; the topic object's own when not set."""
    name: Annotated[str, Field(max_length=MAX_NAME_LENGTH, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")]
    """Its name."""


class TopicSpec(ApiModel):
    """What is wanted."""

    cluster: ClusterReference
    """The cluster whose devices the rules are for."""
    rules: Annotated[list[TopicRule], Field(min_length=1, max_length=50)]
    """The rules, as in `spec.auth.topics` of the cluster object. They are in force all together or
    not at all, and only within what the cluster object delegates to this namespace."""


class Topic(ApiModel):
    """A `LiveConnectTopic` as it is worked with: identity and parsed spec."""

    name: str
    """`metadata.name`."""
    namespace: str
    """`metadata.namespace`."""
    generation: int
    """`metadata.generation`."""
    created: str
    """`metadata.creationTimestamp` (RFC 3339, UTC), empty if it is in no API server."""
    spec: TopicSpec
    """The parsed spec."""

    @property
    def cluster(self) -> tuple[str, str]:
        """Namespace and name of the cluster object that it is for."""
        reference = self.spec.cluster
        return reference.namespace or self.namespace, reference.name

    def __str__(self) -> str:
        return f"{TOPIC_KIND} {self.namespace}/{self.name}"

    @classmethod
    def parse(cls, body: dict[str, Any]) -> Topic:
        """Build from the API server's JSON.

        Raises:
            pydantic.ValidationError: with one entry per wrong field, paths as in the object.
        """
        meta = body["metadata"]
        return cls.model_validate(
            {
                "name": meta["name"],
                "namespace": meta.get("namespace") or "default",
                "generation": meta.get("generation", 1),
                "created": meta.get("creationTimestamp") or "",
                "spec": body.get("spec") or {},
            }
        )


class TopicStatus(ApiModel):
    """What the operator made of it; written by it alone."""

    observedGeneration: int | None = None
    """The generation that this status speaks of."""
    conditions: list[Condition] = []
    """`Accepted`: the rules may be applied. `InForce`: every pod of the auth service applies
    them."""
    rules: int = 0
    """How many of its rules are applied."""
