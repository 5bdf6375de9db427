"""What the operator takes from its environment (`LIVECONNECT_*`)."""

from __future__ import annotations

from pathlib import Path

from liveconnect.api.operands import TOKEN_FILE
from liveconnect.common.settings import ServiceSettings
from liveconnect.controller.model.selector import LabelSelector


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

    token_file: Path = Path(TOKEN_FILE)
    """Own ServiceAccount token (audience `liveconnect`), by which messages between broker nodes are
    tried; none are tried without the file."""
    selector: LabelSelector = LabelSelector()
    """Cluster objects to look after, by their labels, as JSON; all when empty."""
    lease_namespace: str = ""
    """Where the operators of one installation elect the one that acts; none is elected when
    empty, and only one may run."""
    lease_name: str = "liveconnect-operator"
    """The Lease; installations of their own have Leases of their own."""

    def watched(self) -> tuple[str, ...]:
        """Return the namespaces to watch; none means all."""
        return tuple(n.strip() for n in self.namespaces.split(",") if n.strip())
