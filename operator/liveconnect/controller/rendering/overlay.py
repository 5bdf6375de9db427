"""`podTemplate`: what users add to a pod template, merged by key as Kubernetes merges.

Maps are merged, lists by the key that names their items; other lists, and what stands for one
choice as a whole, are replaced. Where both speak, the user's word replaces a default of ours, but
never what the pods need to be operands: the CRD refuses that by name, and it is restored here.
"""

from __future__ import annotations

import copy
from typing import Any

from liveconnect.api.v1alpha1 import PodTemplate
from liveconnect.controller.model.manifest import Manifest

#: The key that names the items of a list.
_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
    "env": "name",
    "volumeMounts": "mountPath",
}
#: One choice as a whole: half of ours and half of theirs would be neither.
_WHOLE = {"affinity", "topologySpreadConstraints", "nodeSelector", "tolerations", "valueFrom"}
#: Defaults of ours that a user's word replaces.
_POD_DEFAULTS = {"affinity", "topologySpreadConstraints", "terminationGracePeriodSeconds"}
_IDENTITY = {"runAsUser", "runAsGroup", "fsGroup"}
_PROBES = {"livenessProbe", "readinessProbe", "startupProbe"}
_TIMES = {
    "initialDelaySeconds",
    "periodSeconds",
    "timeoutSeconds",
    "successThreshold",
    "failureThreshold",
}


def extended(workload: Manifest, additions: PodTemplate) -> Manifest:
    """A StatefulSet or Deployment with a user's additions to its pods."""
    wanted = additions.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    if not wanted:
        return workload
    template = workload["spec"]["template"]
    merged = _merged(_merged(template, wanted), _owned(template))
    return {**workload, "spec": {**workload["spec"], "template": merged}}


def _merged(ours: Any, theirs: Any, key: str = "") -> Any:
    """Both, the second one's word counting where both speak."""
    if key in _WHOLE:
        return theirs
    if isinstance(ours, dict) and isinstance(theirs, dict):
        both = dict(ours)
        for name, value in theirs.items():
            both[name] = _merged(ours[name], value, name) if name in ours else value
        return both
    if isinstance(ours, list) and isinstance(theirs, list) and key in _KEYS:
        return _by_key(ours, theirs, _KEYS[key])
    return theirs


def _by_key(ours: list[Any], theirs: list[Any], key: str) -> list[Any]:
    """Ours in their order, with what is said about them; then what is new."""
    said = {item[key]: item for item in theirs}
    known = {item[key] for item in ours}
    kept = [_merged(item, said[item[key]]) if item[key] in said else item for item in ours]
    return [*kept, *(item for item in theirs if item[key] not in known)]


def _owned(template: Manifest) -> Manifest:
    """What of a template of ours no user's word replaces."""
    owned = copy.deepcopy(template)
    spec = owned["spec"]
    for name in _POD_DEFAULTS:
        spec.pop(name, None)
    for name in _IDENTITY:
        spec["securityContext"].pop(name, None)
    for container in spec["containers"]:
        for probe in _PROBES & container.keys():
            for time in _TIMES:
                container[probe].pop(time, None)
    return owned
