"""How what runs goes over to TLS: the auth service's API, which the gateway asks, and the store.

With `spec.auth.tls` both are served by TLS, and in no other way. Of what runs already first the
server's pods get the new port beside the plain one, then the pods of who asks are made anew, and
ask there, and only then the plain way is closed: no question fails in between. Who asks by TLS
always does, whatever is rolled out later.
"""

from __future__ import annotations

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.manifest import Manifest, ObjectKey, is_seen
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Observed
from liveconnect.controller.model.tls import TlsWays, store_has_tls

_PLAIN = TlsWays(asked=False, plain=True)


def plan_auth_api(cluster: Cluster, names: Names, observed: Observed) -> TlsWays:
    """Decide how the gateway asks the auth service."""
    if cluster.spec.auth.tls is None:
        return _PLAIN
    service = _child(observed, names, ("v1", "Service", names.auth))
    return _ways(
        asking=_child(observed, names, ("apps/v1", "StatefulSet", names.gateway)),
        asks_with="auth",
        asked=_child(observed, names, ("apps/v1", "Deployment", names.auth)),
        serves_at="https",
        closed=service is not None and "http" not in _ports(service["spec"]),
    )


def plan_store(cluster: Cluster, names: Names, observed: Observed) -> TlsWays:
    """Decide how the auth service asks the managed store."""
    if not store_has_tls(cluster):
        return _PLAIN
    store = _child(observed, names, ("apps/v1", "StatefulSet", names.presence))
    return _ways(
        asking=_child(observed, names, ("apps/v1", "Deployment", names.auth)),
        asks_with="managed-store-ca",
        asked=store,
        serves_at="rediss",
        closed=store is not None and "redis" not in _container_ports(store),
    )


def _ways(
    *,
    asking: Manifest | None,
    asks_with: str,
    asked: Manifest | None,
    serves_at: str,
    closed: bool,
) -> TlsWays:
    """Decide by what both workloads are.

    Args:
        asking: the workload that asks.
        asks_with: volume that its pods have if they ask by TLS.
        asked: the workload that is asked.
        serves_at: port that its pods have if they serve by TLS.
        closed: whether there is no plain way any more.
    """
    if asking is None:
        return TlsWays(asked=True, plain=False)
    asks = asks_with in _volumes(asking)
    ready = asked is not None and serves_at in _container_ports(asked) and _all_new(asked)
    return TlsWays(asked=asks or ready, plain=not (closed or (asks and _all_new(asking))))


def _child(observed: Observed, names: Names, child: tuple[str, str, str]) -> Manifest | None:
    version, kind, name = child
    return observed.children.get(ObjectKey(version, kind, names.namespace, name))


def _ports(spec: Manifest) -> set[str]:
    return {str(port.get("name", "")) for port in spec.get("ports") or []}


def _container_ports(workload: Manifest) -> set[str]:
    containers = workload["spec"]["template"]["spec"]["containers"]
    return {name for container in containers for name in _ports(container)}


def _volumes(workload: Manifest) -> set[str]:
    volumes = workload["spec"]["template"]["spec"].get("volumes") or []
    return {str(volume["name"]) for volume in volumes}


def _all_new(workload: Manifest) -> bool:
    """Whether all pods are of the template, and ready."""
    status = workload.get("status") or {}
    wanted = int(workload["spec"].get("replicas", 1))
    counts = ("replicas", "updatedReplicas", "readyReplicas")
    return is_seen(workload) and all(int(status.get(one, 0)) == wanted for one in counts)
