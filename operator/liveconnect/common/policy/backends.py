"""The backends that a cluster object names, and where each may publish."""

from __future__ import annotations

from liveconnect.api import operands
from liveconnect.api.operands import Publisher
from liveconnect.api.v1alpha1 import Cluster, ServiceAccountReference


def subject_of(account: ServiceAccountReference) -> str:
    """The user name of a ServiceAccount, as its tokens say it."""
    return f"system:serviceaccount:{account.namespace}:{account.name}"


def named_backends(cluster: Cluster) -> list[Publisher]:
    """The microservices of `spec.gateway.callers`."""
    return [
        Publisher(
            subject=subject_of(caller.serviceAccount),
            publish=list(caller.publish),
            messages_per_second=caller.messagesPerSecond,
        )
        for caller in cluster.spec.gateway.callers
    ]


def gateway_of(cluster: Cluster) -> Publisher:
    """The gateway itself: it publishes for its callers, whose permissions it checks."""
    account = ServiceAccountReference(namespace=cluster.namespace, name=f"{cluster.name}-gateway")
    return Publisher(subject=subject_of(account), publish=["#"])


def replies_to(cluster: Cluster) -> operands.Replies | None:
    """The rule of answers to the gateway's requests; None if these are off."""
    requests = cluster.spec.gateway.requests
    if requests is None:
        return None
    return operands.Replies(
        topic=requests.replyTopic,
        max_bytes=requests.maxReplyBytes,
        gateway=gateway_of(cluster).subject,
    )
