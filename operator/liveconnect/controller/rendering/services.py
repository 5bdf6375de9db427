"""Auth service, gateway and presence store."""

from __future__ import annotations

import json
from typing import Any

from liveconnect.api import operands
from liveconnect.api.v1alpha1 import Cluster, Resources
from liveconnect.controller.model.certificate import AUTHORITY_KEY, CERTIFICATE_KEY
from liveconnect.controller.model.manifest import Manifest, digest
from liveconnect.controller.model.names import (
    HOOKS_PORT,
    HOOKS_TLS_PORT,
    HTTPS_PORT,
    PRESENCE_PORT,
    PRESENCE_TLS_PORT,
    SERVICE_PORT,
    Names,
)
from liveconnect.controller.model.tls import STORE_TLS_DIRECTORY, TlsWays, store_has_tls
from liveconnect.controller.rendering import configuration
from liveconnect.controller.rendering.endpoints import service
from liveconnect.controller.rendering.engine import render_manifest, render_text
from liveconnect.controller.rendering.inputs import RenderInputs, RenderSettings
from liveconnect.controller.rendering.overlay import extended

_PORTS: dict[str, list[dict[str, Any]]] = {
    # Hooks have a port of their own, so that a policy can keep everybody but the brokers away.
    "auth": [{"name": "http", "port": SERVICE_PORT}, {"name": "hooks", "port": HOOKS_PORT}],
    "gateway": [{"name": "http", "port": SERVICE_PORT}],
}
_HTTPS: dict[str, Any] = {"name": "https", "port": HTTPS_PORT}
_DEFAULT_REQUESTS = {"cpu": "50m", "memory": "96Mi"}


def resources(spec: Resources) -> dict[str, Any]:
    """Resources of a pod of ours, with requests that were measured where none are given."""
    given: dict[str, Any] = json.loads(spec.model_dump_json(exclude_defaults=True))
    return given or {"requests": _DEFAULT_REQUESTS}


def json_config_map(name: str, config: dict[str, Any]) -> Manifest:
    """The one configuration file of a service."""
    text = json.dumps(config, indent=2, sort_keys=True)
    return render_manifest("configmap.yaml.j2", name=name, content={"config.json": text})


def _ports(cluster: Cluster, component: str) -> list[dict[str, Any]]:
    ports = _PORTS[component]
    if component == "auth" and cluster.spec.auth.tls is not None:
        # Beside the plain ones: nodes change over one by one.
        return [*ports, {"name": "hooks-tls", "port": HOOKS_TLS_PORT}, _HTTPS]
    if component == "gateway" and cluster.spec.gateway.tls is not None:
        return [*ports, _HTTPS]
    return ports


def _service_ports(
    cluster: Cluster, component: str, *, plain: bool = False
) -> list[dict[str, Any]]:
    """What a Service offers: with HTTPS nobody but kubelet and monitors needs the plain port."""
    ports = _ports(cluster, component)
    return ports if plain or _HTTPS not in ports else [p for p in ports if p["name"] != "http"]


def http_service(cluster: Cluster, names: Names, name: str, component: str) -> Manifest:
    """The ClusterIP of a service."""
    return service(name, _service_ports(cluster, component), names.selector(component))


def auth_service(cluster: Cluster, names: Names, api: TlsWays) -> Manifest:
    """The ClusterIP of the auth service."""
    ports = _service_ports(cluster, "auth", plain=api.plain)
    return service(names.auth, ports, names.selector("auth"))


def gateway_pods_service(cluster: Cluster, names: Names) -> Manifest:
    """The headless Service by which the gateway's pods find each other."""
    ports, selector = _service_ports(cluster, "gateway"), names.selector("gateway")
    return service(names.gateway_pods, ports, selector, headless=True)


def budget(names: Names, name: str, component: str) -> Manifest:
    """At most one pod is evicted at a time."""
    return render_manifest(
        "poddisruptionbudget.yaml.j2",
        name=name,
        selector=names.selector(component),
        min_available=None,
        max_unavailable=1,
    )


def _api_access() -> tuple[dict[str, Any], dict[str, Any]]:
    """Own token and CA, to read the API server's OIDC keys."""
    mount = {
        "name": "api-access",
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        "readOnly": True,
    }
    volume = {
        "name": "api-access",
        "projected": {
            "defaultMode": 288,
            "sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
                {
                    "configMap": {
                        "name": "kube-root-ca.crt",
                        "items": [{"key": "ca.crt", "path": "ca.crt"}],
                    }
                },
            ],
        },
    }
    return mount, volume


def _config(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    mount = {"name": "config", "mountPath": "/etc/liveconnect/config", "readOnly": True}
    return mount, {"name": "config", "configMap": {"name": name, "defaultMode": 292}}


def _secret_mount(
    volume: str, path: str, secret: str, items: list[dict[str, str]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    mount = {"name": volume, "mountPath": path, "readOnly": True}
    source = {"secretName": secret, "items": items, "defaultMode": 288}
    return mount, {"name": volume, "secret": source}


def _certificates(volume: str, path: str, secret: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A whole Secret: a file that is not there yet must not keep the pod from starting."""
    mount = {"name": volume, "mountPath": path, "readOnly": True}
    return mount, {"name": volume, "secret": {"secretName": secret, "defaultMode": 288}}


def presence_url_source(cluster: Cluster, names: Names, ways: TlsWays) -> tuple[str, str]:
    """Secret and key that hold the store's URL.

    Not one key for both ways: a kubelet may still have the Secret of before.
    """
    external = cluster.spec.presence.store.external
    if external is not None:
        return external.urlSecretRef.name, external.urlSecretRef.key
    return names.presence, "tls-url" if ways.asked else "url"


def _token_secrets(cluster: Cluster) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Key sets and client secrets of the token providers, each mounted as a file."""
    mounts = []
    for index, provider in enumerate(cluster.spec.auth.tokens):
        if provider.jwt is not None and provider.jwt.jwksSecretRef is not None:
            volume, folder = f"jwks-{index}", operands.JWKS_DIRECTORY
            reference = provider.jwt.jwksSecretRef
        elif provider.introspection is not None:
            volume, folder = f"introspection-{index}", operands.INTROSPECTION_DIRECTORY
            reference = provider.introspection.clientSecretRef
        else:
            continue
        items = [{"key": reference.key, "path": reference.key}]
        mounts.append(_secret_mount(volume, f"{folder}/{index}", reference.name, items))
    return mounts


def _presence_secrets(cluster: Cluster) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Certificates and keys of `spec.presence`, each mounted as a file."""
    references = cluster.spec.presence.secret_references()
    return [
        _secret_mount(
            f"presence-{purpose}",
            f"{operands.PRESENCE_SECRETS}/{purpose}",
            references[path].name,
            [{"key": references[path].key, "path": references[path].key}],
        )
        for purpose, path in configuration.PRESENCE_SECRET_FIELDS.items()
        if path in references
    ]


def auth_deployment(
    cluster: Cluster,
    names: Names,
    settings: RenderSettings,
    inputs: RenderInputs,
    config: operands.AuthConfig,
    pod_labels: dict[str, str],
) -> Manifest:
    """The auth service's pods; they read changes of the rules by themselves."""
    secret, key = presence_url_source(cluster, names, inputs.ways_to_store(cluster))
    volumes = [
        _config(names.auth),
        _api_access(),
        _secret_mount(
            "presence", "/etc/liveconnect/presence", secret, [{"key": key, "path": "url"}]
        ),
        # Of the brokers' Secret only this key: who has the cookie owns the nodes.
        _secret_mount(
            "broker",
            "/etc/liveconnect/broker",
            names.broker,
            [{"key": "api-key", "path": "api-key"}],
        ),
    ]
    volumes += [*_token_secrets(cluster), *_presence_secrets(cluster)]
    if cluster.spec.auth.tls is not None:
        volumes.append(_certificates("tls", operands.AUTH_TLS_DIRECTORY, names.auth_tls))
    if inputs.ways_to_store(cluster).asked:
        folder, _, file = operands.MANAGED_STORE_CA_FILE.rpartition("/")
        items = [{"key": CERTIFICATE_KEY, "path": file}]
        volumes.append(_secret_mount("managed-store-ca", folder, names.presence_tls, items))
    # Of no use beside an external store, and then another one for every operator process.
    managed = cluster.spec.presence.store.external is None
    password = inputs.credentials.presence_password if managed else ""
    deployment = _workload(
        cluster, settings, names.auth, names.selector("auth"), pod_labels, volumes,
        container="auth",
        ports=_ports(cluster, "auth"),
        env=[{"name": "LIVECONNECT_HOOKS_PORT", "value": str(HOOKS_PORT)}],
        command=["liveconnect-webhook"],
        claim=None,
        replicas=cluster.spec.auth.replicas if inputs.hibernation.services else 0,
        resources=resources(cluster.spec.auth.resources),
        config_hash=digest(
            [
                config.model_dump(mode="json", exclude=set(operands.RELOADED)),
                dict(inputs.secret_digests), password,
                _known_by(cluster, inputs),
                inputs.credentials.api_key,
            ]
        ),
    )  # fmt: skip
    return extended(deployment, cluster.spec.auth.podTemplate)


def gateway_stateful_set(
    cluster: Cluster,
    names: Names,
    settings: RenderSettings,
    inputs: RenderInputs,
    pod_labels: dict[str, str],
) -> Manifest:
    """The gateway's pods, each with a volume for its outbox (docs/adr/0013)."""
    token_mount = {
        "name": "broker-token",
        "mountPath": operands.TOKEN_FILE.rpartition("/")[0],
        "readOnly": True,
    }
    token = {
        "audience": operands.AUDIENCE,
        "expirationSeconds": 3600,
        "path": operands.TOKEN_FILE.rpartition("/")[2],
    }
    token_volume = {
        "name": "broker-token",
        "projected": {"defaultMode": 288, "sources": [{"serviceAccountToken": token}]},
    }
    tls = []
    if cluster.spec.publishers.tls is not None:
        tls.append(_certificates("tls", operands.BROKER_TLS_DIRECTORY, names.gateway_tls))
    if cluster.spec.gateway.tls is not None:
        tls.append(_certificates("https", operands.HTTPS_DIRECTORY, names.gateway_https))
    auth_by_https = inputs.ways_to_auth(cluster).asked
    if auth_by_https:
        # Of its Secret only this: what the certificate is known by, not its key.
        items = [{"key": AUTHORITY_KEY, "path": AUTHORITY_KEY}]
        folder = operands.AUTH_AUTHORITY_DIRECTORY
        tls.append(_secret_mount("auth", folder, names.auth_tls, items))
    storage = cluster.spec.gateway.outbox.storage
    claim = {
        "name": "data",
        "size": inputs.volume_sizes.get(names.gateway, storage.size),
        "storage_class": storage.storageClassName,
        "when_deleted": storage.retention.whenDeleted.value,
        "service": names.gateway_pods,
        "path": operands.OUTBOX_FILE.rpartition("/")[0],
    }
    size = inputs.gateway_size(cluster)
    stateful_set = _workload(
        cluster, settings, names.gateway, names.selector("gateway"), pod_labels,
        [_config(names.gateway), _api_access(), (token_mount, token_volume), *tls],
        claim=claim,
        container="gateway",
        ports=_ports(cluster, "gateway"),
        env=[],
        command=["liveconnect-gateway"],
        replicas=0 if inputs.hibernation.closed else size.awake,
        resources=resources(cluster.spec.gateway.resources),
        config_hash=digest(
            configuration.gateway_config(
                cluster, names, size.awake, auth_by_https=auth_by_https
            )
        ),
    )  # fmt: skip
    stateful_set = extended(stateful_set, cluster.spec.gateway.podTemplate)
    if notes := size.annotations():
        stateful_set["metadata"].setdefault("annotations", {}).update(notes)
    return stateful_set


def _workload(
    cluster: Cluster,
    settings: RenderSettings,
    name: str,
    selector: dict[str, str],
    pod_labels: dict[str, str],
    volumes: list[tuple[dict[str, Any], dict[str, Any]]],
    **view: Any,
) -> Manifest:
    mounts, claim = [mount for mount, _ in volumes], view["claim"]
    if claim is not None:
        mounts.append({"name": claim["name"], "mountPath": claim["path"]})
    return render_manifest(
        "service-workload.yaml.j2",
        name=name,
        selector=selector,
        pod_labels=pod_labels,
        image=settings.image,
        image_pull_policy=settings.image_pull_policy,
        pull_secrets=[s.model_dump() for s in cluster.spec.broker.imagePullSecrets],
        mounts=mounts,
        volumes=[volume for _, volume in volumes],
        **view,
    )


def _known_by(cluster: Cluster, inputs: RenderInputs) -> str:
    """The managed store's certificate, if it is asked by TLS: another one is for new pods."""
    asked = inputs.ways_to_store(cluster).asked
    return (inputs.store_certificate or {}).get(CERTIFICATE_KEY, "") if asked else ""


def _store_ports(cluster: Cluster, ways: TlsWays) -> list[dict[str, Any]]:
    plain = [{"name": "redis", "port": PRESENCE_PORT}] if ways.plain else []
    tls = [{"name": "rediss", "port": PRESENCE_TLS_PORT}] if store_has_tls(cluster) else []
    return [*plain, *tls]


def store_service(cluster: Cluster, names: Names, inputs: RenderInputs) -> Manifest:
    """The ClusterIP of the managed store."""
    ports = _store_ports(cluster, inputs.ways_to_store(cluster))
    return service(names.presence, ports, names.selector("presence"))


def presence_config_map(cluster: Cluster, names: Names, inputs: RenderInputs) -> Manifest:
    """The managed store's configuration."""
    tls = store_has_tls(cluster)
    content = {
        "valkey.conf": configuration.store_config(inputs.ways_to_store(cluster), tls=tls),
        "start.sh": render_text("presence-start.sh"),
    }
    if tls:
        content["probe.sh"] = render_text("presence-probe.sh")
    return render_manifest("configmap.yaml.j2", name=names.presence, content=content)


def presence_stateful_set(
    cluster: Cluster,
    names: Names,
    settings: RenderSettings,
    inputs: RenderInputs,
    pod_labels: dict[str, str],
) -> Manifest:
    """The managed store's pod."""
    store = cluster.spec.presence.store.settings
    manifest = render_manifest(
        "presence-statefulset.yaml.j2",
        name=names.presence,
        replicas=1 if inputs.hibernation.services else 0,
        selector=names.selector("presence"),
        pod_labels=pod_labels,
        config_hash=digest(
            [
                presence_config_map(cluster, names, inputs)["data"],
                inputs.credentials.presence_password,
                *(inputs.store_certificate or {}).get(CERTIFICATE_KEY, "").splitlines(),
            ]
        ),
        ports=_store_ports(cluster, inputs.ways_to_store(cluster)),
        tls_secret=names.presence_tls if store_has_tls(cluster) else None,
        tls_directory=STORE_TLS_DIRECTORY,
        service_account=names.broker,
        pull_secrets=[s.model_dump() for s in cluster.spec.broker.imagePullSecrets],
        image=store.image or settings.presence_image,
        image_pull_policy=settings.image_pull_policy,
        resources=resources(store.resources),
        storage_class=store.storage.storageClassName,
        storage_size=inputs.volume_sizes.get(names.presence, store.storage.size),
        when_deleted=store.storage.retention.whenDeleted.value,
    )
    return extended(manifest, store.podTemplate)
