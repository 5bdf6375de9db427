"""What to say when Kubernetes refuses a child: the field of the object that it comes from."""

from __future__ import annotations

from liveconnect.api.v1alpha1 import Cluster, PodTemplate
from liveconnect.controller.model.manifest import Manifest
from liveconnect.controller.model.troubles import component

#: Nothing that is applied later depends on these: when one is refused, the others go on.
INDEPENDENT = {"Service", "NetworkPolicy", "PodDisruptionBudget", "StatefulSet", "Deployment"}
_FIELDS = {
    "publisher": "spec.publishers",
    "subscriber": "spec.subscribers",
    "auth": "spec.auth",
    "gateway": "spec.gateway",
    "presence": "spec.presence.store.managed",
}


def blamed(cluster: Cluster, manifest: Manifest) -> str:
    """The field that a refused child is made from, as far as it can be told; or empty."""
    operand = component(manifest)
    field = _FIELDS.get(operand, "")
    if manifest["kind"] in {"StatefulSet", "Deployment"}:
        given = _template(cluster, operand) != PodTemplate()
        return f"{field}.podTemplate" if field and given else field
    if manifest["kind"] == "Service" and operand == "subscriber":
        return f"{field}.listeners and {field}.service"
    return ""


def _template(cluster: Cluster, operand: str) -> PodTemplate:
    spec = cluster.spec
    templates = {
        "publisher": spec.publishers.podTemplate,
        "subscriber": spec.subscribers.podTemplate,
        "auth": spec.auth.podTemplate,
        "gateway": spec.gateway.podTemplate,
        "presence": spec.presence.store.settings.podTemplate,
    }
    return templates.get(operand, PodTemplate())
