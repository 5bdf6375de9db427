"""Why pods cannot be made: a StatefulSet says it in events only."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from liveconnect.controller.adapters.kube import Kube
from liveconnect.controller.model.manifest import Manifest, ObjectKey
from liveconnect.controller.model.troubles import (
    component,
    lacks_pods,
    pod_trouble,
    replica_failure,
)


async def observe_troubles(
    kube: Kube, workloads: Iterable[Manifest], pods: Iterable[Manifest], now: datetime
) -> dict[str, tuple[str, ...]]:
    """What keeps the pods of each operand from running, by component.

    Args:
        kube: Asked for events, only where pods are missing.
        workloads: StatefulSets and Deployments.
        pods: Pods of services; those of the pools tell their own troubles.
        now: The time of the pass.

    Raises:
        KubeError: when the API server refuses or does not answer.
    """
    found: dict[str, list[str]] = defaultdict(list)
    short = [workload for workload in workloads if lacks_pods(workload, now)]
    reasons = await asyncio.gather(*(_why_none(kube, workload) for workload in short))
    for workload, reason in zip(short, reasons, strict=True):
        if reason:
            found[component(workload)].append(reason)
    for pod in pods:
        if trouble := pod_trouble(pod):
            found[component(pod)].append(f"{pod['metadata']['name']}: {trouble}")
    return {name: tuple(dict.fromkeys(said)) for name, said in found.items()}


async def _why_none(kube: Kube, workload: Manifest) -> str:
    if workload["kind"] == "Deployment":
        return replica_failure(workload)
    return await kube.last_warning(ObjectKey.of(workload), "FailedCreate")
