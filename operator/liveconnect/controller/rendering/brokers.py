"""The two pools: configuration, Services, budgets, StatefulSets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.evictions import Evictions
from liveconnect.controller.model.hibernation import CLOSED_SELECTOR, Phase
from liveconnect.controller.model.liveoptions import is_live
from liveconnect.controller.model.manifest import TEMPLATE_ANNOTATION, Manifest, digest
from liveconnect.controller.model.names import (
    CLUSTERING_PORT,
    EPMD_PORT,
    HTTP_PORT,
    LIVES_KEY,
    Names,
)
from liveconnect.controller.model.observed import Pool
from liveconnect.controller.model.tls import TLS_DIRECTORY
from liveconnect.controller.rendering import configuration
from liveconnect.controller.rendering.endpoints import service
from liveconnect.controller.rendering.engine import render_manifest, render_text
from liveconnect.controller.rendering.inputs import RenderInputs
from liveconnect.controller.rendering.overlay import extended

_DESCRIPTION = "kubernetes.io/description"
#: Also for the time when the operator is away and can say nothing.
_WHY_REFUSED = (
    "No broker with clients is evicted: when its Kubernetes node is cordoned, the operator drains"
    " it first; the condition EvictionsPaced of the LiveConnectCluster says how far it is. With the"
    " operator away or the object paused nobody does that: `kubectl drain --disable-eviction`, or"
    " `kubectl delete pod`, goes on and cuts the clients."
)


def config_map(
    cluster: Cluster, names: Names, pool: Pool, lives: Mapping[str, str] = MappingProxyType({})
) -> Manifest:
    """Everything that a pool's pods read, but for secrets."""
    prefix = f"{names.pool(pool)}-"
    content = {
        LIVES_KEY: "".join(
            f"{pod} {life}\n" for pod, life in sorted(lives.items()) if pod.startswith(prefix)
        ),
        "vernemq.conf": configuration.broker_config(cluster, names, pool),
        "start.sh": render_text("start.sh"),
        "set-aside.sh": render_text("set-aside.sh"),
        "startup-probe.sh": render_text("startup-probe.sh"),
        "pre-stop.sh": render_text("pre-stop.sh"),
    }
    return render_manifest("configmap.yaml.j2", name=names.pool(pool), content=content)


def nodes_service(names: Names) -> Manifest:
    """The headless Service of both pools: DNS names, also before a node is ready."""
    ports = [
        {"name": "http", "port": HTTP_PORT},
        {"name": "clustering", "port": CLUSTERING_PORT},
        {"name": "epmd", "port": EPMD_PORT},
    ]
    selector = {
        k: v for k, v in names.selector("broker").items() if k != "app.kubernetes.io/component"
    }
    return service(names.nodes, ports, {**selector, "liveconnect.io/broker": "true"}, headless=True)


def _selector(names: Names, pool: Pool, *, closed: bool) -> dict[str, str]:
    """A pool's pods, or none of them."""
    return names.selector(pool.value) | (CLOSED_SELECTOR if closed else {})


def pool_service(cluster: Cluster, names: Names, pool: Pool, *, closed: bool = False) -> Manifest:
    """The Service that clients of a pool use; publishers are never reachable from outside.

    A closed one keeps its addresses and has no endpoints.
    """
    selector = _selector(names, pool, closed=closed)
    ports = [
        {
            "name": i.name,
            "port": i.servicePort or i.port,
            "target": i.port,
            "node_port": i.nodePort,
        }
        for i in configuration.listeners(cluster, pool)
    ]
    if pool is Pool.PUBLISHER:
        return service(names.pool(pool), ports, selector)
    spec = cluster.spec.subscribers.service
    external = spec.type.value != "ClusterIP"
    return service(
        names.pool(pool),
        ports,
        selector,
        type=spec.type.value,
        annotations=spec.annotations,
        load_balancer_class=spec.loadBalancerClass,
        source_ranges=spec.loadBalancerSourceRanges,
        external_traffic_policy=spec.externalTrafficPolicy.value if external else None,
    )


def publisher_nodes_service(cluster: Cluster, names: Names, *, closed: bool = False) -> Manifest:
    """The headless Service of the publisher nodes that are ready.

    Of no others: who connects to a node before it has joined keeps it from joining.
    """
    pool = Pool.PUBLISHER
    ports = [{"name": i.name, "port": i.port} for i in configuration.listeners(cluster, pool)]
    selector = _selector(names, pool, closed=closed)
    return service(names.publisher_nodes, ports, selector, headless=True, unready=False)


def budget(names: Names, pool: Pool, inputs: RenderInputs) -> Manifest:
    """Which nodes of a pool may be evicted: none that serves, or that is being drained.

    To hold back one that is not ready, the pool must be below its budget whatever Kubernetes has
    seen of it: one node more is wanted than there are.
    """
    evictions = inputs.evictions[pool]
    held = evictions is Evictions.NONE
    manifest = render_manifest(
        "poddisruptionbudget.yaml.j2",
        name=names.pool(pool),
        selector=names.selector(pool.value),
        min_available=inputs.replicas[pool] + 1 if held else None,
        max_unavailable=1 if evictions is Evictions.ONE_AT_A_TIME else 0,
    )
    if evictions is not Evictions.ONE_AT_A_TIME:
        manifest["metadata"]["annotations"] = {_DESCRIPTION: _WHY_REFUSED}
    return manifest


def _fixed(config: dict[str, str]) -> dict[str, str]:
    """The configuration without what running nodes take over: only the rest restarts them."""
    return {
        name: "\n".join(line for line in text.splitlines() if not is_live(line))
        for name, text in config.items()
    }


def stateful_set(
    cluster: Cluster, names: Names, pool: Pool, inputs: RenderInputs, pod_labels: dict[str, str]
) -> Manifest:
    """The pool's pods."""
    spec = cluster.spec
    subscriber = pool is Pool.SUBSCRIBER
    source = spec.subscribers if subscriber else spec.publishers
    hooks = configuration.hooks(cluster, names, pool)
    departure = inputs.departure if inputs.departure and inputs.departure.pool is pool else None
    notes = inputs.hibernation.annotations(inputs.replicas[pool])
    # Without the lives: they matter to a pod that starts, and never restart one.
    config = config_map(cluster, names, pool)["data"]
    manifest = render_manifest(
        "broker-statefulset.yaml.j2",
        name=names.pool(pool),
        annotations={**(departure.annotations() if departure else {}), **notes},
        replicas=0 if inputs.hibernation.phase is Phase.ASLEEP else inputs.replicas[pool],
        service_name=names.nodes,
        selector=names.selector(pool.value),
        pod_labels={**pod_labels, "liveconnect.io/broker": "true"},
        # Neither key nor cookie: a key is rotated live, and a cookie by a restart of its own.
        config_hash=digest(_fixed(config)),
        cookie=inputs.credentials.cookie_digest,
        service_account=names.broker,
        pull_secrets=[s.model_dump() for s in spec.broker.imagePullSecrets],
        image=spec.broker.image,
        image_pull_policy=spec.broker.imagePullPolicy.value,
        nodes_domain=names.node("x").partition("@x.")[2],
        expected_hooks=str(len(hooks)),
        mqtt_ports=" ".join(str(i.port) for i in configuration.listeners(cluster, pool)),
        ports=[
            *({"name": i.name, "port": i.port} for i in configuration.listeners(cluster, pool)),
            {"name": "http", "port": HTTP_PORT},
            {"name": "clustering", "port": CLUSTERING_PORT},
            {"name": "epmd", "port": EPMD_PORT},
        ],
        resources=json.loads(source.resources.model_dump_json(exclude_defaults=True)),
        config_map=names.pool(pool),
        secret=names.broker,
        tls_secret=names.tls(pool) if configuration.has_tls(cluster, pool) else None,
        tls_directory=TLS_DIRECTORY,
        storage_class=source.storage.storageClassName,
        storage_size=inputs.volume_sizes.get(names.pool(pool), source.storage.size),
        when_deleted=source.storage.retention.whenDeleted.value,
    )
    manifest = extended(manifest, source.podTemplate)
    annotations = manifest["metadata"].setdefault("annotations", {})
    annotations[TEMPLATE_ANNOTATION] = digest(manifest["spec"]["template"])
    return manifest
