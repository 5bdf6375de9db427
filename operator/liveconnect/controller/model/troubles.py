"""Why pods do not come or do not run, in Kubernetes' own words. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from liveconnect.controller.model.manifest import Manifest, is_seen

#: A container waits for these without anything being wrong.
_PATIENT = {"ContainerCreating", "PodInitializing"}
#: Pods of a new StatefulSet or Deployment may take this long without anybody asking why.
_PATIENCE = timedelta(seconds=8)
_LONGEST = 300
COMPONENT_LABEL = "app.kubernetes.io/component"


def pod_trouble(pod: Manifest) -> str:
    """Why a pod's containers do not run; empty when nothing speaks against it."""
    status = pod.get("status", {})
    kinds = ("initContainerStatuses", "containerStatuses")
    for container in (c for kind in kinds for c in status.get(kind) or []):
        waiting = (container.get("state") or {}).get("waiting")
        if waiting and waiting.get("reason") not in _PATIENT:
            return _last_words(container) or _said(waiting)
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return _said(condition)
    return ""


def _last_words(container: Manifest) -> str:
    """Why a container that ends again and again ended last, where it has said so.

    Kubernetes' own message is only how long it waits to start it again.
    """
    ended = (container.get("lastState") or {}).get("terminated") or {}
    words = " ".join(str(ended.get("message", "")).split())
    if not words:
        return ""
    kept = words if len(words) <= _LONGEST else f"…{words[-_LONGEST:]}"
    return f"{ended.get('reason')} (exit code {ended.get('exitCode')}): {kept}"


def _said(state: Manifest) -> str:
    return f"{state.get('reason')}: {state.get('message', '')}".strip(": ")[:_LONGEST]


def component(body: Manifest) -> str:
    """Which operand an object belongs to."""
    return str((body["metadata"].get("labels") or {}).get(COMPONENT_LABEL, ""))


def lacks_pods(workload: Manifest, now: datetime) -> bool:
    """Whether the controller has made fewer pods than it was told to, and had time for them."""
    status, meta = workload.get("status", {}), workload["metadata"]
    wanted = int(workload.get("spec", {}).get("replicas", 1))
    made = datetime.fromisoformat(meta["creationTimestamp"])
    return is_seen(workload) and int(status.get("replicas", 0)) < wanted and now - made > _PATIENCE


def replica_failure(deployment: Manifest) -> str:
    """Why a Deployment's pods cannot be made; empty when they can."""
    failures: Iterable[Manifest] = deployment.get("status", {}).get("conditions") or []
    return next(
        (
            str(c.get("message", ""))[:_LONGEST]
            for c in failures
            if c["type"] == "ReplicaFailure" and c["status"] == "True"
        ),
        "",
    )
