"""`spec.broker`: what every VerneMQ node of both pools has in common."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from liveconnect.api.v1alpha1.base import ApiModel, ObjectName

#: Prefixes and names in `vernemq.conf` that the operator renders itself; `spec.broker.config` may
#: not set them. Stated here once: the CRD's CEL rule and the renderer both read it.
OPERATOR_OWNED_CONFIG = (
    "listener.",
    "plugins.",
    "vmq_webhooks.",
    "erlang.distribution.",
    "nodename",
    "distributed_cookie",
    "allow_anonymous",
    "allow_register_during_netsplit",
    "allow_publish_during_netsplit",
    "allow_subscribe_during_netsplit",
    "allow_unsubscribe_during_netsplit",
    "accept_eula",
    "metadata_plugin",
    "http_module.",
    "log.console",
)


#: Options that a running node takes over (recorded), to VerneMQ's defaults: whole numbers …
LIVE_NUMBERS = {
    "max_client_id_size": "100",
    "max_inflight_messages": "20",
    "max_message_rate": "0",
    "max_message_size": "0",
    "max_offline_messages": "1000",
    "max_online_messages": "1000",
    "mqtt_connect_timeout": "5000",
    "receive_max_broker": "65535",
    "receive_max_client": "65535",
    "retry_interval": "20",
    "systree_interval": "20000",
    "topic_alias_max_broker": "0",
    "topic_alias_max_client": "0",
}
#: … and switches. A value of another kind would stop the next start of every node.
LIVE_FLAGS = {
    "coordinate_registrations": "on",
    "disconnect_on_unauthorized_publish_v3": "off",
    "suppress_lwt_on_session_takeover": "off",
    "systree_enabled": "on",
    "upgrade_outgoing_qos": "off",
}


class Netsplit(StrEnum):
    """What the nodes do while a member is missing (vernemq-contract/operations.md)."""

    AVAILABLE = "Available"
    CONSISTENT = "Consistent"


class ImagePullPolicy(StrEnum):
    """Kubernetes' own words for when an image is pulled."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class LocalObjectReference(ApiModel):
    """The name of an object in the cluster object's own namespace."""

    name: ObjectName
    """Name of the object."""


class Broker(ApiModel):
    """The broker that both pools run."""

    image: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^\S*$")] = (
        "docker.io/vernemq/vernemq:2.1.2"
    )
    """Broker image, by tag or digest. VerneMQ's own images need `acceptEULA: true`."""
    imagePullPolicy: ImagePullPolicy = ImagePullPolicy.IF_NOT_PRESENT
    """When the kubelet pulls the broker image."""
    imagePullSecrets: Annotated[list[LocalObjectReference], Field(max_length=16)] = []
    """Secrets with registry credentials, used by the pods of all operands."""
    acceptEULA: bool = False
    """Says that you accept the end user licence agreement of VerneMQ's official images. Needed for
    images named `vernemq/vernemq`; images that you built yourself do not need it."""
    config: Annotated[dict[str, Annotated[str, Field(max_length=1024)]], Field(max_length=100)] = {}
    """Further keys of `vernemq.conf`, as strings. Keys that the operator renders itself (listeners,
    plugins, webhooks, node name, cookie, anonymous access, netsplit switches) are refused."""
    netsplit: Netsplit = Netsplit.AVAILABLE
    """What the nodes do while one is missing. `Available`: the others go on serving.
    `Consistent`: VerneMQ's default, every node refuses new clients until the member is back."""
