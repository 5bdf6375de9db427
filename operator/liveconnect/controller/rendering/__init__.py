"""From a cluster object to the manifests of everything that it stands for. Pure."""

from __future__ import annotations

import base64

from liveconnect.api.operands import AuthConfig
from liveconnect.api.v1alpha1 import Cluster
from liveconnect.common.policy.delegation import own_rules
from liveconnect.controller.model.credentials import Credentials
from liveconnect.controller.model.manifest import (
    API_KEY_ROTATION_ANNOTATION,
    COOKIE_ROTATION_ANNOTATION,
    Manifest,
)
from liveconnect.controller.model.names import PRESENCE_PORT, PRESENCE_TLS_PORT, Names
from liveconnect.controller.model.observed import Pool
from liveconnect.controller.model.tls import store_has_tls
from liveconnect.controller.rendering import brokers, configuration, policies, services
from liveconnect.controller.rendering.engine import render_manifest
from liveconnect.controller.rendering.identity import labels, stamp
from liveconnect.controller.rendering.inputs import RenderInputs, RenderSettings

__all__ = ["RenderInputs", "RenderSettings", "render"]


def render(
    cluster: Cluster, settings: RenderSettings, inputs: RenderInputs
) -> tuple[Manifest, ...]:
    """All children of a cluster object, in the order in which they are applied."""
    names = Names(cluster.name, cluster.namespace, settings.cluster_domain)
    managed = cluster.spec.presence.store.external is None
    rules = own_rules(cluster) if inputs.rules is None else inputs.rules
    api, store = inputs.ways_to_auth(cluster), inputs.ways_to_store(cluster)
    auth = configuration.auth_config(
        cluster,
        names,
        rules,
        settings.operator_subject,
        plain_api=api.plain,
        store_by_tls=store.asked,
    )

    def label(component: str) -> dict[str, str]:
        pool = Pool(component) if component in set(Pool) else None
        return labels(names, component, settings, pool)

    children: list[tuple[str, Manifest]] = [
        *_accounts(names),
        *_secrets(cluster, names, inputs, managed=managed),
        *_config_maps(cluster, names, inputs, auth, managed=managed),
        *_services(cluster, names, inputs, managed=managed),
        *policies.policies(cluster, names, api, store),
        *((pool.value, brokers.budget(names, pool, inputs)) for pool in Pool),
        ("auth", services.budget(names, names.auth, "auth")),
        ("gateway", services.budget(names, names.gateway, "gateway")),
    ]
    if managed:
        children.append(
            ("presence", services.presence_stateful_set(
                cluster, names, settings, inputs, label("presence"))))  # fmt: skip
    children += [
        ("auth", services.auth_deployment(cluster, names, settings, inputs, auth, label("auth"))),
        *(
            (pool.value, brokers.stateful_set(cluster, names, pool, inputs, label(pool.value)))
            for pool in Pool
        ),
        (
            "gateway",
            services.gateway_stateful_set(cluster, names, settings, inputs, label("gateway")),
        ),
    ]
    return tuple(stamp(manifest, cluster, label(component)) for component, manifest in children)


def _accounts(names: Names) -> list[tuple[str, Manifest]]:
    accounts = [("broker", names.broker), ("auth", names.auth), ("gateway", names.gateway)]
    return [(c, render_manifest("serviceaccount.yaml.j2", name=name)) for c, name in accounts]


def _secret(name: str, content: dict[str, str]) -> Manifest:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
    return render_manifest("secret.yaml.j2", name=name, content=encoded)


def _broker_secret(names: Names, credentials: Credentials) -> Manifest:
    """The brokers' own secrets, and which rotations were begun."""
    content = {
        "cookie": credentials.cookie,
        "api-key": credentials.api_key,
        "api-key-next": credentials.next_api_key,
        "api-key-previous": credentials.previous_api_key,
        "placeholder.pem": credentials.placeholder,
    }
    rotations = {
        API_KEY_ROTATION_ANNOTATION: credentials.api_key_rotation,
        COOKIE_ROTATION_ANNOTATION: credentials.cookie_rotation,
    }
    manifest = _secret(names.broker, {key: value for key, value in content.items() if value})
    manifest["metadata"]["annotations"] = {key: v for key, v in rotations.items() if v}
    return manifest


def _secrets(
    cluster: Cluster, names: Names, inputs: RenderInputs, *, managed: bool
) -> list[tuple[str, Manifest]]:
    credentials = inputs.credentials
    secrets = [
        ("broker", _broker_secret(names, credentials)),
        *((p.value, _secret(names.tls(p), dict(f))) for p, f in inputs.certificates.items()),
    ]
    if inputs.gateway_certificates is not None:
        content = dict(inputs.gateway_certificates)
        secrets.append(("gateway", _secret(names.gateway_tls, content)))
    if inputs.https_certificates is not None:
        content = dict(inputs.https_certificates)
        secrets.append(("gateway", _secret(names.gateway_https, content)))
    if inputs.hooks_certificate is not None:
        secrets.append(("auth", _secret(names.auth_tls, dict(inputs.hooks_certificate))))
    if managed:
        secrets.append(("presence", _store_secret(cluster, names, inputs)))
        if inputs.store_certificate is not None:
            content = dict(inputs.store_certificate)
            secrets.append(("presence", _secret(names.presence_tls, content)))
    return secrets


def _store_secret(cluster: Cluster, names: Names, inputs: RenderInputs) -> Manifest:
    """The managed store's password, and the URLs by which it is asked."""
    password = inputs.credentials.presence_password
    where = f":{password}@{names.host(names.presence)}"
    content = {"password": password}
    if inputs.ways_to_store(cluster).plain:
        content["url"] = f"redis://{where}:{PRESENCE_PORT}/0"
    if store_has_tls(cluster):
        content["tls-url"] = f"rediss://{where}:{PRESENCE_TLS_PORT}/0"
    return _secret(names.presence, content)


def _config_maps(
    cluster: Cluster, names: Names, inputs: RenderInputs, auth: AuthConfig, *, managed: bool
) -> list[tuple[str, Manifest]]:
    pods = inputs.gateway_size(cluster).awake
    https = inputs.ways_to_auth(cluster).asked
    config = configuration.gateway_config(cluster, names, pods, auth_by_https=https)
    gateway = services.json_config_map(names.gateway, config)
    store = services.presence_config_map(cluster, names, inputs)
    presence = [("presence", store)] if managed else []
    return [
        *((pool.value, brokers.config_map(cluster, names, pool, inputs.lives)) for pool in Pool),
        ("auth", services.json_config_map(names.auth, auth.model_dump(mode="json"))),
        ("gateway", gateway),
        *presence,
    ]


def _services(
    cluster: Cluster, names: Names, inputs: RenderInputs, *, managed: bool
) -> list[tuple[str, Manifest]]:
    closed = inputs.hibernation.closed
    presence = [("presence", services.store_service(cluster, names, inputs))] if managed else []
    return [
        ("broker", brokers.nodes_service(names)),
        *((p.value, brokers.pool_service(cluster, names, p, closed=closed)) for p in Pool),
        ("publisher", brokers.publisher_nodes_service(cluster, names, closed=closed)),
        ("auth", services.auth_service(cluster, names, inputs.ways_to_auth(cluster))),
        ("gateway", services.http_service(cluster, names, names.gateway, "gateway")),
        ("gateway", services.gateway_pods_service(cluster, names)),
        *presence,
    ]
