"""Pod Security `restricted`, enforced by a real API server, lets the pods of all operands in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.golden import SAMPLES
from tests.integration.controller.conftest import Eventually, Kube
from tests.integration.controller.test_reconcile import cluster, ready

pytestmark = pytest.mark.integration

_ENFORCE = "pod-security.kubernetes.io/enforce=restricted"
#: Pods with no privilege that `restricted` would refuse, so that the label is proved to work.
_ROOT = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "root"},
    "spec": {"containers": [{"name": "a", "image": "a:1"}]},
}


@pytest.fixture
def restricted(kube: Kube) -> Kube:
    """A namespace that enforces it."""
    kube.plane.kubectl("label", "namespace", kube.namespace, _ENFORCE)
    with pytest.raises(Exception, match="violates PodSecurity"):
        kube.apply(_ROOT)
    return kube


def components(kube: Kube) -> list[str]:
    path = r"{range .items[*]}{.metadata.labels.app\.kubernetes\.io/component} {end}"
    return sorted(kube("get", "pods", "-o", f"jsonpath={path}").split())


def test_all_operands_run_restricted(restricted: Kube, eventually: Eventually) -> None:
    restricted.apply(cluster())
    wanted = sorted(["auth", "gateway", "publisher", "subscriber"] * 2 + ["presence"])
    eventually(lambda: components(restricted) == wanted, within=30)


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_sample_runs_restricted(restricted: Kube, sample: Path) -> None:
    """The pods' templates alone, so that none waits for a Secret or for the others."""
    from hack.golden import rendered, sample_cluster  # noqa: PLC0415 - only here

    for manifest in rendered(sample_cluster(sample)):
        if manifest["kind"] in {"StatefulSet", "Deployment"}:
            template = manifest["spec"]["template"]
            name = manifest["metadata"]["name"]
            spec = {**template["spec"]}
            spec.pop("serviceAccountName")
            claims = manifest["spec"].get("volumeClaimTemplates", [])
            volumes = [
                {"name": c["metadata"]["name"], "persistentVolumeClaim": {"claimName": "x"}}
                for c in claims
            ]
            spec["volumes"] = [*spec["volumes"], *volumes]
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
            restricted("apply", "--server-side", "--dry-run=server", "-f", "-",
                       stdin=yaml.safe_dump(pod))  # fmt: skip


def test_an_addition_that_is_not_restricted_is_said_and_corrected(
    restricted: Kube, eventually: Eventually
) -> None:
    sidecar: dict[str, Any] = {"name": "sidecar", "image": "s:1"}
    gateway = {"podTemplate": {"spec": {"containers": [sidecar]}}}
    restricted.apply(cluster(gateway=gateway))
    said = eventually(
        lambda: "violates PodSecurity" in (c := ready(restricted))["message"] and c, within=30
    )
    assert "demo-gateway" in said["message"]
    assert "sidecar" in said["message"]
    sidecar["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    restricted.apply(cluster(gateway=gateway))
    eventually(lambda: components(restricted).count("gateway") == 2, within=30)
    eventually(lambda: "PodSecurity" not in ready(restricted)["message"])
