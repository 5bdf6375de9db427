"""What the operator takes from its environment (`LIVECONNECT_*`)."""

from __future__ import annotations

from liveconnect.common.settings import ServiceSettings


class ControllerSettings(ServiceSettings):
    """The same for all cluster objects; the chart sets it."""

    image: str
    """Image of the auth service and the gateway: the operator's own."""
    image_pull_policy: str = "IfNotPresent"
    """When operand images are pulled."""
    presence_image: str = "docker.io/valkey/valkey:8.1"
    """Image of managed presence stores."""
    cluster_domain: str = "cluster.local"
    """DNS domain of the Kubernetes cluster."""
    namespaces: str = ""
    """Namespaces to watch, separated by commas; all when empty."""

    def watched(self) -> tuple[str, ...]:
        """Return the namespaces to watch; none means all."""
        return tuple(n.strip() for n in self.namespaces.split(",") if n.strip())
