"""The sample objects, made runnable: issuer's keys, backend account, the broker image at hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from e2e.kit.cluster import Cluster, Manifest
from e2e.kit.issuer import AUDIENCE, ISSUER, Issuer

SAMPLES = Path("manifests/samples")
DEV_BROKER = "docker.io/library/liveconnect-dev-broker:dev"
KIND = "liveconnectclusters.liveconnect.io"
#: The microservice of the story, named in the quickstart sample.
ORDERS_SERVICE = ("default", "orders-service")


def broker_image() -> str:
    """The image that brokers run: `BROKER_IMAGE` (a name, or `name=archive`), else the stand-in."""
    given = os.environ.get("BROKER_IMAGE", "").strip()
    return given.partition("=")[0] if given else DEV_BROKER


def broker_archive() -> Path | None:
    """The archive that `BROKER_IMAGE=name=archive` names, to be loaded into the cluster."""
    archive = os.environ.get("BROKER_IMAGE", "").strip().partition("=")[2]
    return Path(archive) if archive else None


def quickstart() -> Manifest:
    """The quickstart sample with the broker image at hand."""
    body: Manifest = yaml.safe_load((SAMPLES / "quickstart.yaml").read_text(encoding="utf-8"))
    body["spec"]["broker"]["image"] = broker_image()
    body["spec"]["broker"]["imagePullPolicy"] = "IfNotPresent"
    return body


def tiny(name: str, namespace: str, **spec: Any) -> Manifest:
    """The smallest cluster object: one node in each pool, one pod of each service.

    Args:
        name: Of the object.
        namespace: Of the object.
        spec: Replaces whole fields of `spec`.
    """
    return {
        "apiVersion": "liveconnect.io/v1alpha1",
        "kind": "LiveConnectCluster",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "broker": {"image": broker_image(), "acceptEULA": True},
            "publishers": {"replicas": 1},
            "subscribers": {"replicas": 1},
            "auth": {
                "replicas": 1,
                "tokens": [
                    {
                        "jwt": {
                            "issuer": ISSUER,
                            "audiences": [AUDIENCE],
                            "jwksSecretRef": {"name": f"{name}-jwks", "key": "jwks.json"},
                        }
                    }
                ],
                "topics": [{"filter": "orders/{claims.customer}/+/status", "allow": ["subscribe"]}],
            },
            "gateway": {"replicas": 1},
            **spec,
        },
    }


def key_set(name: str, namespace: str, issuer: Issuer) -> Manifest:
    """The Secret with the issuer's public keys that a cluster object of this name refers to."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{name}-jwks", "namespace": namespace},
        "stringData": {"jwks.json": issuer.key_set()},
    }


def service_account(namespace: str, name: str) -> Manifest:
    """A ServiceAccount."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace},
    }


def apply_quickstart(cluster: Cluster, issuer: Issuer, name: str = "quickstart") -> Manifest:
    """Apply the quickstart, by another name if need be, with all that it refers to; return it."""
    body = quickstart()
    body["metadata"]["name"] = name
    body["spec"]["auth"]["tokens"][0]["jwt"]["jwksSecretRef"]["name"] = f"{name}-jwks"
    cluster.apply(service_account(*ORDERS_SERVICE), key_set(name, "default", issuer), body)
    return body
