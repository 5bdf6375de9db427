"""From nothing to a cluster with the operator in it: what demo and tests begin with.

The kit knows only a kubeconfig; here, and only here, providers and images come in.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from e2e.images.broker import broker_archive
from e2e.images.product import product_archive
from e2e.images.valkey import valkey_archive
from e2e.kit import install, samples
from e2e.kit.cluster import MARKER_NAME, MARKER_NAMESPACE, Cluster, KubectlError, Manifest
from e2e.kit.eventually import eventually
from e2e.kit.issuer import Issuer
from e2e.providers import binaries
from e2e.providers.choice import choose
from e2e.providers.interface import Provider
from e2e.providers.paths import cache

#: One cluster serves demo and tests: two would not fit on a small machine.
NAME = "liveconnect"
PRODUCT_IMAGE = "docker.io/library/liveconnect:dev"
PRESENCE_IMAGE = "docker.io/library/liveconnect-valkey:dev"
#: Where the output of builds is.
LOGS = cache() / "logs"
_KEY = Path("build/demo/issuer.jwk")


def provider() -> Provider:
    """The provider that `LIVECONNECT_PROVIDER` names, by default the one that works here."""
    return choose(NAME)


def issuer() -> Issuer:
    """The issuer of all phones' tokens; its key is kept in the build folder."""
    return Issuer.kept(_KEY)


def kubernetes(where: Provider) -> Cluster:
    """Bring Kubernetes up, or repair it, and mark it as ours.

    Raises:
        StepError: When it cannot be brought up here.
        ForeignClusterError: When there is a cluster of that name that was made for something else.
    """
    where.create()
    cluster = reach(where)
    if not _used_by_others(cluster):
        cluster.mark("LiveConnect's demo and end-to-end tests")
    cluster.refuse_unless_ours()
    return cluster


def reach(where: Provider) -> Cluster:
    """The provider's cluster, as it is."""
    return Cluster(where.kubeconfig(), str(binaries.binary("kubectl")))


def _used_by_others(cluster: Cluster) -> bool:
    """Whether somebody has put anything into a cluster that is not marked."""
    if cluster.is_marked():
        return False
    own = {"default", "kube-system", "kube-public", "kube-node-lease", "local-path-storage"}
    return any(n["metadata"]["name"] not in own for n in cluster.items("namespaces", None))


def images(where: Provider, cluster: Cluster) -> None:
    """Build what changed and load what the cluster does not have yet.

    An image that is loaded anew under its old tag restarts whatever runs it.
    """
    marker = cluster.existing("configmap", MARKER_NAME, MARKER_NAMESPACE)
    loaded: dict[str, str] = marker["data"]
    for image, archive in _archives().items():
        key = image.rpartition("/")[2].replace(":", "-")
        if loaded.get(key) == archive.name:
            continue
        where.load_image(archive)
        if key in loaded:
            _restart(cluster, image)
        patch = {"data": {key: archive.name}}
        cluster.patch("configmap", MARKER_NAME, patch, MARKER_NAMESPACE)


def _archives() -> dict[str, Path]:
    archives = {PRODUCT_IMAGE: product_archive(), PRESENCE_IMAGE: valkey_archive()}
    given = samples.broker_archive()
    if given is not None:
        archives[samples.broker_image()] = given
    elif samples.broker_image() == samples.DEV_BROKER:
        archives[samples.DEV_BROKER] = broker_archive()
    return archives


def _restart(cluster: Cluster, image: str) -> None:
    for body in cluster.items("deployments,statefulsets", None):
        if image in _images_of(body):
            name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]
            target = f"{body['kind'].lower()}/{name}"
            if body["spec"].get("updateStrategy", {}).get("type") == "OnDelete":
                _remake(cluster, body)
                continue
            cluster.kubectl("rollout", "restart", target, "-n", namespace)
            cluster.kubectl(
                "rollout", "status", target, "-n", namespace, "--timeout=300s", timeout=310
            )


def _remake(cluster: Cluster, stateful_set: Manifest) -> None:
    """Let all pods of a StatefulSet be made anew; kubectl's rollout knows no OnDelete."""
    name, namespace = stateful_set["metadata"]["name"], stateful_set["metadata"]["namespace"]
    labels = stateful_set["spec"]["selector"]["matchLabels"]
    chosen = ",".join(f"{key}={value}" for key, value in labels.items())
    cluster.kubectl("delete", "pods", "-n", namespace, "-l", chosen, timeout=180)
    eventually(
        lambda: (
            cluster.existing("statefulset", name, namespace)["status"].get("readyReplicas", 0)
            == stateful_set["spec"]["replicas"]
        ),
        within=300,
        every=1,
        what=f"all pods of {name} ready again",
    )


def _images_of(workload: Manifest) -> set[str]:
    return {c["image"] for c in workload["spec"]["template"]["spec"]["containers"]}


def operator(cluster: Cluster) -> None:
    """Install the operator from its chart."""
    system_helm = shutil.which("helm")
    helm = Path(system_helm) if system_helm else binaries.binary("helm")
    install.install(cluster, helm, PRODUCT_IMAGE, PRESENCE_IMAGE)


def is_up(where: Provider) -> bool:
    """Whether the provider's cluster runs already."""
    if not where.kubeconfig().exists():
        return False
    try:
        return reach(where).is_marked()
    except KubectlError:
        return False


def toxiproxy() -> Path:
    """The server that makes networks bad."""
    return binaries.binary("toxiproxy")


@contextlib.contextmanager
def for_tests() -> Iterator[Cluster]:
    """A cluster with the operator, for the e2e suite.

    A cluster that runs already is used and left; one that is made here is removed, unless KEEP=1.
    """
    where = provider()
    mine = not is_up(where)
    try:
        cluster = kubernetes(where)
        images(where, cluster)
        operator(cluster)
        yield cluster
    finally:
        if mine and os.environ.get("KEEP") != "1":
            where.delete()
