"""References to ServiceAccounts."""

from __future__ import annotations

from liveconnect.api.v1alpha1.base import ApiModel, NamespaceName, ObjectName


class ServiceAccountReference(ApiModel):
    """A ServiceAccount of any namespace."""

    namespace: NamespaceName
    """Namespace of the ServiceAccount."""
    name: ObjectName
    """Name of the ServiceAccount."""
