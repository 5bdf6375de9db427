"""The chart's values: `values.yaml`, its schema and the README's table come from this model."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Labels = dict[str, str]


class _Values(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Image(_Values):
    """Image of the operator, and of the auth services and gateways that it makes."""

    repository: Annotated[str, Field(min_length=1)] = "liveconnect"
    """Name without tag."""
    tag: str = ""
    """The chart's appVersion when empty."""
    digest: Annotated[str, Field(pattern="^(sha256:[0-9a-f]{64})?$")] = ""
    """Instead of the tag, `sha256:…`."""
    pullPolicy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"  # noqa: N815
    """When it is pulled, by the operator's pod and by those that it makes."""


class SecretName(_Values):
    """A Secret."""

    name: Annotated[str, Field(min_length=1)]
    """Its name."""


class Crds(_Values):
    """The definition of LiveConnectCluster."""

    enabled: bool = True
    """Install and upgrade the CRD with the chart."""
    keep: bool = True
    """Keep the CRD, and so all cluster objects, when the chart is uninstalled."""


class ServiceAccount(_Values):
    """The operator's ServiceAccount."""

    annotations: Labels = {}
    """Its annotations."""


class PodMonitor(_Values):
    """Scraping by the Prometheus operator."""

    enabled: bool = False
    """Make a PodMonitor; needs the Prometheus operator's CRDs."""
    labels: Labels = {}
    """Labels by which your Prometheus selects PodMonitors."""
    interval: Annotated[str, Field(pattern="^[0-9]+(ms|s|m)$")] = "30s"
    """How often it scrapes."""


class Resources(_Values):
    """Compute resources of the operator."""

    requests: dict[str, str | int] = {"cpu": "50m", "memory": "128Mi"}
    """Least resources."""
    limits: dict[str, str | int] = {"memory": "256Mi"}
    """Most resources."""


class Requirement(_Values):
    """One of `matchExpressions`."""

    key: Annotated[str, Field(min_length=1)]
    """The label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """What must hold for it."""
    values: list[str] = []
    """For `In` and `NotIn`."""


class Selector(_Values):
    """Cluster objects that this operator looks after, by their labels."""

    matchLabels: Labels = {}  # noqa: N815
    """Labels that an object must have."""
    matchExpressions: list[Requirement] = []  # noqa: N815
    """What else must hold for its labels, as in any label selector."""


class Values(_Values):
    """All values."""

    replicas: Annotated[int, Field(ge=1, le=5)] = 2
    """Operator pods: one acts, the others wait for its Lease and take over within 20 s."""
    image: Image = Image()
    """Image of the operator, and of the auth services and gateways that it makes."""
    imagePullSecrets: list[SecretName] = []  # noqa: N815
    """Registry credentials of the operator's pod."""
    presenceImage: Annotated[str, Field(min_length=1)] = "docker.io/valkey/valkey:8.1"  # noqa: N815
    """Image of managed presence stores (Valkey or Redis)."""
    clusterDomain: Annotated[str, Field(min_length=1)] = "cluster.local"  # noqa: N815
    """DNS domain of the Kubernetes cluster."""
    watchNamespaces: list[Annotated[str, Field(pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]] = []  # noqa: N815
    """Namespaces to watch, all when empty. With a list, the operator has Roles there and no
    ClusterRole; the namespaces must exist."""
    selector: Selector = Selector()
    """Cluster objects that this operator looks after; all when empty. Several operators share a
    cluster when each object is selected by one of them."""
    logLevel: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"  # noqa: N815
    """Lowest level that is logged."""
    crds: Crds = Crds()
    """The definition of LiveConnectCluster."""
    serviceAccount: ServiceAccount = ServiceAccount()  # noqa: N815
    """The operator's ServiceAccount."""
    podMonitor: PodMonitor = PodMonitor()  # noqa: N815
    """Scraping of the operator's `/metrics` by the Prometheus operator."""
    resources: Resources = Resources()
    """Compute resources of the operator."""
    podAnnotations: Labels = {}  # noqa: N815
    """Further annotations of the operator's pod."""
    podLabels: Labels = {}  # noqa: N815
    """Further labels of the operator's pod."""
    nodeSelector: Labels = {}  # noqa: N815
    """Nodes that the operator may run on."""
    tolerations: list[dict[str, Any]] = []
    """Taints that the operator tolerates."""
    affinity: dict[str, Any] = {}
    """Affinity of the operator's pods; when empty they prefer nodes of their own."""
    priorityClassName: str = ""  # noqa: N815
    """Priority class of the operator's pod."""
    global_: Annotated[dict[str, Any], Field(alias="global")] = {}
    """For charts that have this one as a part; not read here."""
    enabled: bool | None = None
    """For charts that have this one as a part and make it conditional; not read here."""
