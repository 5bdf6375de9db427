"""What every process reads from its environment, prefix `LIVECONNECT_`."""

from __future__ import annotations

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from liveconnect.api.operands import CONFIG_FILE


class ProcessSettings(BaseSettings):
    """Common to the three processes."""

    model_config = SettingsConfigDict(env_prefix="LIVECONNECT_", frozen=True)

    log_level: str = "INFO"
    """Least severe level that is logged."""
    host: str = "0.0.0.0"  # noqa: S104 - a pod's server; NetworkPolicies fence it
    """Address that the HTTP server listens on."""
    port: int = 8080
    """Its port."""


class ServiceSettings(ProcessSettings):
    """The auth service and the gateway: everything else is in their configuration file."""

    config: Path = Path(CONFIG_FILE)
    """The file that the operator wrote (`liveconnect.api.operands`)."""


class ControllerSettings(ProcessSettings):
    """The operator."""

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
        """The namespaces to watch; none means all."""
        return tuple(n.strip() for n in self.namespaces.split(",") if n.strip())
