"""The backends that a cluster object names, and where each may publish."""

from __future__ import annotations

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
