"""`status`: what was seen, in words a person can act on. Conditions report; nothing reads them."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from liveconnect.api.v1alpha1 import (
    AutoscalingStatus,
    Cluster,
    ConditionStatus,
    DrainStatus,
    Endpoints,
    NodeStatus,
    PoolStatus,
    Status,
)
from liveconnect.controller.model.hibernation import Phase
from liveconnect.controller.model.manifest import Manifest, ObjectKey
from liveconnect.controller.model.names import (
    HTTPS_PORT,
    MQTT_PORT,
    MQTTS_PORT,
    SERVICE_PORT,
    Names,
)
from liveconnect.controller.model.observed import Memory, Observed, Pool
from liveconnect.controller.planner.certificate_report import certificate_rows
from liveconnect.controller.planner.certificates import Certificates
from liveconnect.controller.planner.conditions import conditions
from liveconnect.controller.planner.hibernation import Sleep
from liveconnect.controller.planner.membership import Membership
from liveconnect.controller.planner.mesh import Mesh
from liveconnect.controller.planner.reasons import Reason
from liveconnect.controller.planner.rollout import Rollout
from liveconnect.controller.planner.rotation import Rotation
from liveconnect.controller.planner.sizes import Sizes
from liveconnect.controller.planner.transition import transition
from liveconnect.controller.rendering.configuration import auth_url


def summarise(  # noqa: PLR0913 - everything that a pass knows
    cluster: Cluster,
    names: Names,
    observed: Observed,
    size: Sizes,
    membership: Membership,
    mesh: Mesh,
    rollout: Rollout,
    drain: DrainStatus | None,
    certificates: Certificates,
    rotation: Rotation,
    sleep: Sleep,
    evictions: tuple[bool, Reason, str],
    not_in_force: tuple[str, ...],
    memory: Memory,
    now: datetime,
) -> Status:
    """The whole status of one pass."""
    desired = {p: 0 if sleep.now.phase is Phase.ASLEEP else size.target[p] for p in Pool}
    pools = {pool: _pool(observed, desired[pool], memory, pool) for pool in Pool}
    subscribers = pools[Pool.SUBSCRIBER]
    return Status(
        observedGeneration=cluster.generation,
        conditions=conditions(
            cluster,
            names,
            observed,
            size,
            membership,
            mesh,
            rollout,
            drain,
            certificates,
            rotation,
            sleep,
            evictions,
            not_in_force,
            pools,
            now,
        ),
        clients=subscribers.connections,
        rate=f"{subscribers.connectsPerMinute}/min",
        publishers=pools[Pool.PUBLISHER],
        subscribers=subscribers,
        drain=drain,
        mesh=mesh.shown,
        autoscaling=_autoscaling(observed, size, now),
        endpoints=_endpoints(cluster, names, observed),
        nodes=_nodes(observed, membership),
        # A new process remembers nothing: what was acted on before stays said.
        reconciled=memory.reconciled or observed.status.get("reconciled", ""),
        certificates=certificate_rows(certificates),
        selector=",".join(f"{k}={v}" for k, v in names.selector("subscriber").items()),
    )


def failed(
    generation: int, old_status: Manifest, reason: str, message: str, now: datetime
) -> Manifest:
    """A status patch that says why the pass could not be made; the rest stays as it was."""
    old = {c["type"]: c for c in old_status.get("conditions", [])}
    new = transition(old, "Ready", ConditionStatus.FALSE, (reason, message), generation, now)
    others = [c for kind, c in old.items() if kind != "Ready"]
    return {
        "observedGeneration": generation,
        "conditions": [new.model_dump(mode="json"), *others],
    }


def _pool(observed: Observed, desired: int, memory: Memory, pool: Pool) -> PoolStatus:
    pods = observed.pool(pool)
    views = [observed.brokers[p.name] for p in pods if p.name in observed.brokers]
    ready = sum(p.ready for p in pods)
    return PoolStatus(
        replicas=len(pods),
        ready=ready,
        desired=desired,
        connections=sum(v.connections for v in views),
        connectsPerMinute=_rate(memory, {p.name for p in pods}),
        summary=f"{ready}/{desired}",
        skew=_skew(
            [
                observed.brokers[p.name].connections
                for p in pods
                if p.ready and p.name in observed.brokers and observed.brokers[p.name].reachable
            ]
        ),
    )


def _skew(connections: list[int]) -> str:
    """How unevenly connections are spread."""
    total = sum(connections)
    return f"{max(connections) * len(connections) / total:.1f}" if total else ""


def _rate(memory: Memory, pods: set[str]) -> int:
    """CONNECT packets a minute over the samples at hand; a restarted counter begins at zero."""
    total, seconds = 0, 0.0
    samples = memory.samples
    for before, after in pairwise(samples):
        seconds += (after.at - before.at).total_seconds()
        for pod in pods & after.connects.keys() & before.connects.keys():
            delta = after.connects[pod] - before.connects[pod]
            total += delta if delta >= 0 else after.connects[pod]
            # The operator's own, which no client made.
            total -= max(after.canaries.get(pod, 0) - before.canaries.get(pod, 0), 0)
    return round(max(total, 0) * 60 / seconds) if seconds else 0


def _autoscaling(observed: Observed, size: Sizes, now: datetime) -> AutoscalingStatus | None:
    if size.scale is None:
        return None
    before = observed.status.get("autoscaling") or {}
    last = before.get("lastScaleTime")
    changed = size.current[Pool.SUBSCRIBER] != size.target[Pool.SUBSCRIBER]
    moment = now if changed else (datetime.fromisoformat(last) if last else None)
    return AutoscalingStatus(recommended=size.scale.recommended, lastScaleTime=moment)


def _endpoints(cluster: Cluster, names: Names, observed: Observed) -> Endpoints:
    service = observed.children.get(
        ObjectKey("v1", "Service", names.namespace, names.pool(Pool.SUBSCRIBER)), {}
    )
    ports = service.get("spec", {}).get("ports") or [{"port": MQTT_PORT}]
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
    host = ingress[0].get("ip") or ingress[0].get("hostname")
    if service.get("spec", {}).get("type") == "ClusterIP":
        host = names.host(names.pool(Pool.SUBSCRIBER))
    publishers = MQTTS_PORT if cluster.spec.publishers.tls else MQTT_PORT
    return Endpoints(
        subscribers=f"{host}:{ports[0]['port']}" if host else "",
        publishers=f"{names.host(names.pool(Pool.PUBLISHER))}:{publishers}",
        gateway=_gateway(cluster, names),
        presence=auth_url(names, https=cluster.spec.auth.tls is not None),
    )


def _gateway(cluster: Cluster, names: Names) -> str:
    host = names.host(names.gateway)
    plain = cluster.spec.gateway.tls is None
    return f"http://{host}:{SERVICE_PORT}" if plain else f"https://{host}:{HTTPS_PORT}"


def _nodes(observed: Observed, membership: Membership) -> list[NodeStatus]:
    nodes = []
    for pool in Pool:
        for pod in observed.pool(pool):
            view = observed.brokers.get(pod.name)
            nodes.append(
                NodeStatus(
                    name=pod.name,
                    pool=pool.value,
                    state=membership.states.get(pod.name, "Starting"),
                    connections=view.connections if view else 0,
                    queues=view.queues if view else 0,
                    members=len(view.members) if view else 0,
                )
            )
    return nodes
