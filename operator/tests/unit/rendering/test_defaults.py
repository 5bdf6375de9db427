"""What every operand has without being asked for, and whose keys of `vernemq.conf` are whose."""

from __future__ import annotations

from pathlib import Path

import pytest

from hack.golden import SAMPLES, rendered, sample_cluster
from liveconnect.api.v1alpha1 import OPERATOR_OWNED_CONFIG
from liveconnect.api.v1alpha1.broker import LocalObjectReference
from liveconnect.controller.model.manifest import Manifest
from liveconnect.controller.rendering.configuration import DEFAULT_OPTIONS

each = pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.yaml")), ids=lambda p: p.stem)


def workloads(manifests: tuple[Manifest, ...]) -> list[Manifest]:
    return [m for m in manifests if m["kind"] in {"StatefulSet", "Deployment"}]


@each
def test_readiness_of_brokers_is_their_health_never_a_ping(sample: Path) -> None:
    """`/health/ping` says OK on a node that is about to leave (http-and-cli.md)."""
    for manifest in workloads(rendered(sample_cluster(sample))):
        for container in manifest["spec"]["template"]["spec"]["containers"]:
            if container["name"] == "vernemq":
                assert container["readinessProbe"]["httpGet"]["path"] == "/health"
                assert container["livenessProbe"]["httpGet"]["path"] == "/health/ping"
                assert container["startupProbe"]["exec"]["command"][0] == "sh"


@each
def test_every_pod_has_time_to_end_and_is_kept_apart_from_its_like(sample: Path) -> None:
    for manifest in workloads(rendered(sample_cluster(sample))):
        spec = manifest["spec"]["template"]["spec"]
        assert spec["terminationGracePeriodSeconds"] >= 30
        if manifest["spec"]["replicas"] > 1:
            assert "affinity" in spec or "topologySpreadConstraints" in spec


@each
def test_every_rendered_key_is_either_the_operators_or_a_default(sample: Path) -> None:
    """Else a key of `spec.broker.config` could stand in the file twice."""
    for manifest in rendered(sample_cluster(sample)):
        text = manifest.get("data", {}).get("vernemq.conf", "")
        given = sample_cluster(sample).spec.broker.config
        lines = (line for line in text.splitlines() if line and not line.startswith("#"))
        keys = [line.partition(" = ")[0] for line in lines]
        assert len(keys) == len(set(keys))
        free = {k for k in keys if not k.startswith(OPERATOR_OWNED_CONFIG)}
        assert free <= DEFAULT_OPTIONS.keys() | given.keys()


@each
def test_what_a_lost_node_leaves_behind_ends_by_itself(sample: Path) -> None:
    """Its clean 3.1.1 sessions become persistent ones of nobody (operations.md)."""
    configs = [m["data"]["vernemq.conf"] for m in rendered(sample_cluster(sample))
               if "vernemq.conf" in m.get("data", {})]  # fmt: skip
    assert len(configs) == 2
    for text in configs:
        assert "\npersistent_client_expiration = 1w\n" in text
        assert "\nmax_offline_messages = 1000\n" in text


@each
def test_an_image_by_digest_and_pull_secrets_reach_the_pods(sample: Path) -> None:
    cluster = sample_cluster(sample)
    image = "registry.example/vernemq@sha256:" + "0" * 64
    secrets = [LocalObjectReference(name="registry")]
    broker = cluster.spec.broker.model_copy(update={"image": image, "imagePullSecrets": secrets})
    spec = cluster.spec.model_copy(update={"broker": broker})
    for manifest in workloads(rendered(cluster.model_copy(update={"spec": spec}))):
        pod = manifest["spec"]["template"]["spec"]
        assert pod["imagePullSecrets"] == [{"name": "registry"}]
        for container in pod["containers"]:
            assert (container["image"] == image) is (container["name"] == "vernemq")
