"""What every provider can do. The tests know only the kubeconfig."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Provider(Protocol):
    """Somebody who has Kubernetes clusters to give."""

    name: str
    enforces_policies: bool
    """Whether NetworkPolicies hold here for certain: a test that finds otherwise fails."""

    def create(self) -> Path:
        """Bring the cluster up, or repair it; return its kubeconfig."""

    def load_image(self, archive: Path) -> None:
        """Make an image archive (`docker-archive` or OCI) known to the nodes."""

    def kubeconfig(self) -> Path:
        """Return the kubeconfig of a cluster that is up."""

    def delete(self) -> None:
        """Remove everything that `create` made; nothing to remove is fine."""
