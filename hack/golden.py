"""Golden manifests: every sample as the operator renders it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.credentials import Credentials
from liveconnect.controller.model.manifest import Manifest
from liveconnect.controller.model.observed import Pool
from liveconnect.controller.model.tls import store_has_tls, tls_uses
from liveconnect.controller.rendering import RenderInputs, RenderSettings, render

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "manifests" / "samples"
FOLDER = ROOT / "operator" / "tests" / "golden"
SETTINGS = RenderSettings(
    image="liveconnect:golden",
    image_pull_policy="IfNotPresent",
    presence_image="docker.io/valkey/valkey:8.1",
    operator_version="golden",
    operator_subject="system:serviceaccount:liveconnect-system:liveconnect-operator",
)


def _of_kind(kind: str) -> list[Path]:
    return [
        p for p in sorted(SAMPLES.rglob("*.yaml")) if yaml.safe_load(p.read_text())["kind"] == kind
    ]


def cluster_samples() -> list[Path]:
    """All samples of cluster objects."""
    return _of_kind("LiveConnectCluster")


def topic_samples() -> list[Path]:
    """All samples of topic objects."""
    return _of_kind("LiveConnectTopic")


def sample_cluster(path: Path) -> Cluster:
    """A sample as if the API server had it."""
    body = yaml.safe_load(path.read_text())
    body["metadata"].update(namespace="default", uid="00000000-0000-0000-0000-000000000000")
    return Cluster.parse(body)


def rendered(cluster: Cluster) -> tuple[Manifest, ...]:
    """Everything that stands for it, with fixed credentials."""
    files: dict[Pool, dict[str, str]] = {}
    for use in tls_uses(cluster):
        content = files.setdefault(use.pool, {})
        content[use.pair_file] = "golden-certificate"
        if use.authority_secret:
            content[use.authority_file] = "golden-authority"
    trust = {"ca.crt": "golden-authority"}
    if cluster.spec.auth.tls:
        files = {pool: {**files.get(pool, {}), "hooks-ca.crt": "golden-ca"} for pool in Pool}
    inputs = RenderInputs(
        credentials=Credentials("golden-cookie", "golden-key", "golden-password"),
        certificates=files,
        gateway_certificates=trust if cluster.spec.publishers.tls else None,
        hooks_certificate=_auth(cluster),
        store_certificate=_store(cluster),
        https_certificates=_https(cluster),
        replicas={
            Pool.PUBLISHER: cluster.spec.publishers.replicas,
            Pool.SUBSCRIBER: cluster.spec.initial_subscribers(),
        },
    )
    return render(cluster, SETTINGS, inputs)


def _auth(cluster: Cluster) -> dict[str, str] | None:
    if cluster.spec.auth.tls is None:
        return None
    return {"tls.crt": "golden-certificate", "tls.key": "golden-key", "ca.crt": "golden-ca"}


def _store(cluster: Cluster) -> dict[str, str] | None:
    own = {"tls.crt": "golden-certificate", "tls.key": "golden-key"}
    return own if store_has_tls(cluster) else None


def _https(cluster: Cluster) -> dict[str, str] | None:
    tls = cluster.spec.gateway.tls
    if tls is None:
        return None
    mutual = {"callers-ca.crt": "golden-authority", "peer.pem": "golden-peer"}
    own = {"tls.crt": "golden-certificate", "tls.key": "golden-key", "ca.crt": "golden-authority"}
    return {**own, **(mutual if tls.clientCASecretName else {})}


def golden() -> Iterator[tuple[Path, str]]:
    """Every golden file and what must stand in it."""
    for sample in cluster_samples():
        for manifest in rendered(sample_cluster(sample)):
            name = f"{manifest['kind'].lower()}-{manifest['metadata']['name']}.yaml"
            yield FOLDER / sample.stem / name, yaml.safe_dump(manifest, sort_keys=False, width=100)
