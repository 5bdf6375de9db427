"""The life of a release in a real API server: install, upgrade, uninstall, what stays."""

from __future__ import annotations

import pytest

from e2e.providers.control_plane import ControlPlaneProvider
from e2e.providers.progress import StepError
from hack.golden import ROOT, SAMPLES
from tests.integration.chart.conftest import CHART, Helm

pytestmark = pytest.mark.integration

_RELEASE = "liveconnect-operator"
_CRD = "crd/liveconnectclusters.liveconnect.io"
_CRDS = "customresourcedefinitions.apiextensions.k8s.io"


def may(helm: Helm, verb: str, resource: str, *, namespace: str = "default") -> bool:
    """Whether the operator's ServiceAccount is allowed to."""
    user = f"system:serviceaccount:{helm.namespace}:{_RELEASE}"
    kind, _, part = resource.partition("/")
    subresource = [f"--subresource={part}"] if part else []
    try:
        answer = helm.kubectl(
            "auth", "can-i", verb, kind, *subresource, "--as", user, "-n", namespace
        )
    except StepError:
        return False
    return answer.strip() == "yes"


@pytest.fixture(scope="module")
def release(helm: Helm) -> str:
    """The chart, installed with its defaults."""
    helm.ok("upgrade", "--install", _RELEASE, str(CHART), "--wait", "--timeout", "60s")
    return _RELEASE


def test_it_installs_where_pods_must_be_restricted(helm: Helm, release: str) -> None:
    deployment = helm.get("deployment", release)
    assert deployment["status"]["readyReplicas"] == 2


def test_notes_say_what_to_do_next(helm: Helm, release: str) -> None:
    notes = helm.ok("get", "notes", release)
    assert "kubectl get liveconnect" in notes


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("watch", "liveconnectclusters"),
        ("patch", "liveconnectclusters/status"),
        ("patch", "statefulsets.apps"),
        ("create", "secrets"),
        ("delete", "persistentvolumeclaims"),
        ("create", "events"),
        ("delete", "networkpolicies.networking.k8s.io"),
        ("watch", "nodes"),
    ],
)
def test_the_operator_may(helm: Helm, release: str, verb: str, resource: str) -> None:
    assert may(helm, verb, resource), release


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("create", "pods/exec"),
        ("create", "pods"),
        ("patch", "liveconnectclusters"),
        ("delete", "liveconnectclusters"),
        ("create", "persistentvolumeclaims"),
        ("create", "clusterroles"),
        ("create", "serviceaccounts/token"),
        ("patch", "nodes"),
        ("patch", "namespaces"),
        ("patch", _CRDS),
    ],
)
def test_the_operator_may_not(helm: Helm, release: str, verb: str, resource: str) -> None:
    assert not may(helm, verb, resource), release


def test_it_can_be_restricted_to_namespaces(helm: Helm, release: str) -> None:
    helm.kubectl("create", "namespace", "shop")
    helm.ok("upgrade", release, str(CHART), "--set", "watchNamespaces={shop}")
    assert may(helm, "patch", "statefulsets.apps", namespace="shop")
    assert not may(helm, "patch", "statefulsets.apps", namespace="default")
    helm.ok("upgrade", release, str(CHART), "--reset-values")
    assert may(helm, "patch", "statefulsets.apps", namespace="default")


def test_objects_outlive_an_uninstall(helm: Helm, release: str) -> None:
    """And a new installation takes over from there."""
    helm.kubectl("apply", "--server-side", "-f", str(SAMPLES / "quickstart.yaml"))
    helm.ok("uninstall", release, "--wait")
    assert helm.get("liveconnect", "quickstart")["metadata"]["name"] == "quickstart"
    helm.ok("install", release, str(CHART))
    assert helm.get(_CRD)["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_the_manifest_for_those_without_helm(own_plane: ControlPlaneProvider) -> None:
    """Applied as the documentation says, in one go."""
    path = str(ROOT / "manifests" / "install.yaml")
    own_plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", path)
    own_plane.kubectl(
        "-n", "liveconnect-system", "wait", "--for=condition=Available", "--timeout=30s",
        "deployment/liveconnect-operator",
    )  # fmt: skip
