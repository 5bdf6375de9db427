"""`podTemplate`: what users add to the pods of an operand, merged by key as Kubernetes merges.

Only what makes sense is here: a field that is not is refused by its name, and so the operator's own
parts (service account, host namespaces, hardening) cannot be contradicted. Structures that only
Kubernetes knows in full (`affinity`, sources of volumes) are passed on as they are; the API server
checks them when they are applied.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field, JsonValue

from liveconnect.api.v1alpha1.base import ApiModel
from liveconnect.api.v1alpha1.broker import ImagePullPolicy, LocalObjectReference
from liveconnect.api.v1alpha1.resources import Resources

_OPEN: dict[str, JsonValue] = {"x-kubernetes-preserve-unknown-fields": True}

#: A structure that is passed on as it is.
Open = Annotated[dict[str, Any], Field(json_schema_extra=_OPEN)]
Key = Annotated[str, Field(max_length=317)]
Text = Annotated[str, Field(max_length=4096)]
Label = Annotated[
    str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")
]
Name = Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
Words = Annotated[list[Text], Field(max_length=64)]
Seconds = Annotated[int, Field(ge=1, le=3600)]
Id = Annotated[int, Field(ge=1, le=2147483647)]


class PodMetadata(ApiModel):
    """Metadata of the pods."""

    labels: Annotated[dict[Key, Label], Field(max_length=32)] = {}
    """Further labels; those of `app.kubernetes.io/` and `liveconnect.io/` are the operator's."""
    annotations: Annotated[dict[Key, Text], Field(max_length=32)] = {}
    """Further annotations; those of `liveconnect.io/` are the operator's."""


class EnvironmentVariable(ApiModel):
    """A variable of a container's environment."""

    name: Annotated[
        str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")
    ]
    """Its name."""
    value: Text | None = None
    """Its value."""
    valueFrom: Open | None = None
    """Where its value comes from, as in a pod."""


class VolumeMount(ApiModel):
    """Where a container sees a volume."""

    name: Name
    """Name of the volume."""
    mountPath: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^/[^:]*$")]
    """Path in the container."""
    subPath: Annotated[str | None, Field(max_length=512)] = None
    """Path within the volume."""
    readOnly: bool = False
    """Whether it is read-only."""


class Probe(ApiModel):
    """A probe. On an operator's container only its times can be changed."""

    initialDelaySeconds: Annotated[int | None, Field(ge=0, le=3600)] = None
    """Time before the first try (seconds)."""
    periodSeconds: Seconds | None = None
    """Time between tries (seconds)."""
    timeoutSeconds: Seconds | None = None
    """Time of a try (seconds)."""
    successThreshold: Annotated[int | None, Field(ge=1, le=100)] = None
    """Successes in a row that count."""
    failureThreshold: Annotated[int | None, Field(ge=1, le=1000)] = None
    """Failures in a row that count."""
    httpGet: Open | None = None
    """Ask by HTTP, as in a pod."""
    tcpSocket: Open | None = None
    """Open a connection, as in a pod."""
    exec: Open | None = None
    """Run a command, as in a pod."""
    grpc: Open | None = None
    """Ask by gRPC, as in a pod."""


class ContainerRestartPolicy(StrEnum):
    """Kubernetes' own word."""

    ALWAYS = "Always"


class Container(ApiModel):
    """A container: one of the operator's by its name, or one more."""

    name: Name
    """Its name. The operator's containers are `vernemq`, `auth`, `gateway` and `valkey`."""
    image: Annotated[str | None, Field(min_length=1, max_length=512, pattern=r"^\S*$")] = None
    """Image of a container of yours."""
    imagePullPolicy: ImagePullPolicy | None = None
    """When the kubelet pulls the image."""
    command: Words = []
    """Command of a container of yours."""
    args: Words = []
    """Arguments of a container of yours."""
    workingDir: Annotated[str | None, Field(max_length=512)] = None
    """Working directory of a container of yours."""
    restartPolicy: ContainerRestartPolicy | None = None
    """`Always` makes an init container a sidecar."""
    env: Annotated[list[EnvironmentVariable], Field(max_length=64)] = []
    """Environment, merged by name."""
    envFrom: Annotated[list[Open], Field(max_length=16)] = []
    """Secrets and ConfigMaps whose keys become variables, as in a pod."""
    ports: Annotated[list[Open], Field(max_length=16)] = []
    """Ports of a container of yours, as in a pod."""
    resources: Resources = Resources()
    """Compute resources of a container of yours."""
    volumeMounts: Annotated[list[VolumeMount], Field(max_length=32)] = []
    """Volumes, merged by path."""
    livenessProbe: Probe | None = None
    """When it is restarted."""
    readinessProbe: Probe | None = None
    """When it gets traffic."""
    startupProbe: Probe | None = None
    """When it has started."""
    lifecycle: Open | None = None
    """Hooks of a container of yours, as in a pod."""
    securityContext: Open | None = None
    """Security context of a container of yours, as in a pod."""


class Volume(ApiModel):
    """A volume, with its source as in a pod."""

    model_config = ConfigDict(
        frozen=True, extra="allow", use_attribute_docstrings=True, json_schema_extra=_OPEN
    )

    name: Name
    """Its name."""


class TolerationOperator(StrEnum):
    """Kubernetes' own words."""

    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(StrEnum):
    """Kubernetes' own words."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(ApiModel):
    """A taint that the pods tolerate."""

    key: Annotated[str | None, Field(max_length=317)] = None
    """Key of the taint; every key when not set."""
    operator: TolerationOperator = TolerationOperator.EQUAL
    """`Exists` matches every value."""
    value: Annotated[str | None, Field(max_length=63)] = None
    """Value of the taint."""
    effect: TaintEffect | None = None
    """Effect of the taint; every effect when not set."""
    tolerationSeconds: Annotated[int | None, Field(ge=0)] = None
    """How long `NoExecute` is tolerated (seconds); for ever when not set."""


class PodSecurityContext(ApiModel):
    """Identity of the pods' processes. They are never root, whatever it says."""

    runAsUser: Id | None = None
    """User id; the image's own user when it has another one."""
    runAsGroup: Id | None = None
    """Group id."""
    fsGroup: Id | None = None
    """Group that owns the volumes."""
    supplementalGroups: Annotated[list[Id], Field(max_length=16)] = []
    """Further groups."""
    seLinuxOptions: Open | None = None
    """SELinux context, as in a pod."""


class PodTemplateSpec(ApiModel):
    """Spec of the pods."""

    nodeSelector: Annotated[dict[Key, Label], Field(max_length=32)] = {}
    """Labels of Kubernetes nodes that they may run on."""
    tolerations: Annotated[list[Toleration], Field(max_length=32)] = []
    """Taints that they tolerate."""
    affinity: Open | None = None
    """Replaces the operator's, which keeps the pods of a pool on different Kubernetes nodes where
    it can."""
    topologySpreadConstraints: Annotated[list[Open], Field(max_length=8)] = []
    """Replace the operator's, which spread the pods over zones where they can."""
    priorityClassName: Annotated[str | None, Field(max_length=253)] = None
    """Priority class."""
    runtimeClassName: Annotated[str | None, Field(max_length=253)] = None
    """Runtime class."""
    schedulerName: Annotated[str | None, Field(max_length=253)] = None
    """Scheduler."""
    terminationGracePeriodSeconds: Annotated[int | None, Field(ge=20, le=3600)] = None
    """Time to end in (seconds)."""
    imagePullSecrets: Annotated[list[LocalObjectReference], Field(max_length=16)] = []
    """Further Secrets with registry credentials, for containers of yours."""
    hostAliases: Annotated[list[Open], Field(max_length=16)] = []
    """Lines of /etc/hosts, as in a pod."""
    dnsConfig: Open | None = None
    """Resolver options, as in a pod."""
    securityContext: PodSecurityContext = PodSecurityContext()
    """Identity of the processes."""
    containers: Annotated[list[Container], Field(max_length=8)] = []
    """Additions to the operator's container, and containers of yours; merged by name."""
    initContainers: Annotated[list[Container], Field(max_length=8)] = []
    """Containers of yours that run before."""
    volumes: Annotated[list[Volume], Field(max_length=32)] = []
    """Volumes of yours."""


class PodTemplate(ApiModel):
    """What is added to the pods of an operand, merged by key as Kubernetes merges."""

    metadata: PodMetadata = PodMetadata()
    """Metadata."""
    spec: PodTemplateSpec = PodTemplateSpec()
    """Spec."""
