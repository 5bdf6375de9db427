"""What the chart renders, without a cluster."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from e2e.providers.binaries import binary
from hack.chart import values_yaml
from hack.install import NAMESPACE
from hack.values import Values
from liveconnect.api.operands import AUDIENCE
from liveconnect.controller.model.selector import LabelSelector
from liveconnect.controller.settings import ControllerSettings
from tests.integration.chart.conftest import CHART, objects, of_kind

pytestmark = pytest.mark.integration

NAME = "liveconnect-operator"


def container(*values: str) -> dict[str, Any]:
    found: dict[str, Any] = of_kind("Deployment", objects(*values))[0]["spec"]["template"]["spec"]
    return {**found, **found["containers"][0]}


def test_manifests_are_valid_to_the_letter() -> None:
    for manifest in objects("watchNamespaces={a,b}"):
        if manifest["kind"] != "CustomResourceDefinition":
            kubernetes_validate.validate(manifest, "1.34", strict=True)


def test_the_pod_is_restricted() -> None:
    pod = container()
    assert pod["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["securityContext"]["allowPrivilegeEscalation"] is False
    assert pod["resources"]["requests"]["memory"] == "128Mi"
    assert pod["resources"]["limits"]["memory"] == "256Mi"


def test_the_operator_has_a_token_for_the_brokers_where_it_looks_for_it() -> None:
    pod = container()
    (mount,) = [m for m in pod["volumeMounts"] if m["name"] == "identity"]
    (volume,) = [v for v in pod["volumes"] if v["name"] == "identity"]
    (source,) = volume["projected"]["sources"]
    token = source["serviceAccountToken"]
    assert token["audience"] == AUDIENCE
    assert mount["readOnly"] is True
    where = Path(mount["mountPath"], token["path"])
    assert ControllerSettings.model_fields["token_file"].default == where


def test_what_the_chart_sets_is_what_the_operator_reads() -> None:
    """An environment variable under another name would be ignored in silence."""
    names = {
        entry["name"].removeprefix("LIVECONNECT_").lower()
        for entry in container("watchNamespaces={a,b}")["env"]
    }
    assert names <= ControllerSettings.model_fields.keys()
    required = {n for n, f in ControllerSettings.model_fields.items() if f.is_required()}
    assert required <= names


def test_all_namespaces_need_a_cluster_role() -> None:
    found = objects()
    assert of_kind("ClusterRole", found)
    assert [o["metadata"]["name"] for o in of_kind("Role", found)] == [f"{NAME}-election"]


def test_listed_namespaces_need_none() -> None:
    found = objects("watchNamespaces={shop,chat}")
    assert not of_kind("ClusterRole", found)
    assert not of_kind("ClusterRoleBinding", found)
    for kind in ("Role", "RoleBinding"):
        places = {(o["metadata"]["namespace"], o["metadata"]["name"]) for o in of_kind(kind, found)}
        assert places == {
            ("shop", NAME),
            ("chat", NAME),
            (NAMESPACE, f"{NAME}-election"),
        }
    env = {e["name"]: e["value"] for e in container("watchNamespaces={shop,chat}")["env"]}
    assert env["LIVECONNECT_NAMESPACES"] == "shop,chat"


def test_operands_run_the_operators_own_image() -> None:
    digest = "sha256:" + "a" * 64
    pod = container("image.repository=registry.example.com/lc", f"image.digest={digest}")
    env = {e["name"]: e["value"] for e in pod["env"]}
    assert pod["image"] == env["LIVECONNECT_IMAGE"] == f"registry.example.com/lc@{digest}"


def test_the_crd_can_be_left_out_and_is_kept() -> None:
    assert not of_kind("CustomResourceDefinition", objects("crds.enabled=false"))
    kept = of_kind("CustomResourceDefinition", objects())[0]
    assert kept["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_two_pods_that_keep_apart_and_are_not_evicted_together() -> None:
    found = objects()
    deployment, budget = of_kind("Deployment", found)[0], of_kind("PodDisruptionBudget", found)[0]
    pods = deployment["spec"]["template"]
    affinity = pods["spec"]["affinity"]["podAntiAffinity"]
    [term] = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
    assert deployment["spec"]["replicas"] == 2
    assert budget["spec"]["maxUnavailable"] == 1
    for selector in (term["podAffinityTerm"]["labelSelector"], budget["spec"]["selector"]):
        assert selector["matchLabels"].items() <= pods["metadata"]["labels"].items()


def test_they_elect_by_a_lease_that_they_may_write() -> None:
    found = objects()
    env = {e["name"]: e["value"] for e in container()["env"]}
    [role] = of_kind("Role", found)
    names = {n for rule in role["rules"] for n in rule.get("resourceNames", [])}
    assert names == {env["LIVECONNECT_LEASE_NAME"]}
    assert role["metadata"]["namespace"] == env["LIVECONNECT_LEASE_NAMESPACE"]


def test_a_selector_reaches_the_operator() -> None:
    values = ["selector.matchLabels.ring=canary", "selector.matchExpressions[0].key=old",
              "selector.matchExpressions[0].operator=DoesNotExist"]  # fmt: skip
    env = {e["name"]: e["value"] for e in container(*values)["env"]}
    selector = LabelSelector.model_validate_json(env["LIVECONNECT_SELECTOR"])
    assert selector.matches({"ring": "canary"})
    assert not selector.matches({"ring": "canary", "old": ""})


def test_a_pod_monitor_where_it_is_wanted() -> None:
    assert not of_kind("PodMonitor", objects())
    monitor = of_kind("PodMonitor", objects("podMonitor.enabled=true"))[0]
    pod = of_kind("Deployment", objects())[0]["spec"]["template"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= pod.items()


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("replica=3", "replica"),
        ("replicas=0", "replicas"),
        ("selector.matchExpressions[0].operator=Near", "operator"),
        ("image.tagg=1", "tagg"),
        ("image.digest=abc", "digest"),
        ("logLevel=LOUD", "logLevel"),
        ("crds.keep=perhaps", "keep"),
        ("watchNamespaces=shop", "watchNamespaces"),
    ],
)
def test_a_wrong_value_is_refused(value: str, named: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        objects(value)
    assert named in caught.value.stderr


def test_a_parent_chart_can_have_it_as_a_part() -> None:
    assert objects("global.imageRegistry=registry.example.com", "enabled=true")


def test_values_and_model_are_one() -> None:
    stated = yaml.safe_load(values_yaml())
    assert Values.model_validate(stated) == Values()


def test_lint() -> None:
    command = [str(binary("helm")), "lint", "--strict", str(CHART)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "0 chart(s) failed" in done.stdout
