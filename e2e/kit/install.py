"""The operator, installed the way users do: by its Helm chart."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

from e2e.kit.cluster import Cluster

NAMESPACE = "liveconnect-system"
DEPLOYMENT = "liveconnect-operator"
_CRD = "crd/liveconnectclusters.liveconnect.io"
_CHART = Path("charts/liveconnect-operator")


class InstallError(RuntimeError):
    """Helm said no; the message is Helm's own."""


def install(cluster: Cluster, helm: Path, image: str, presence_image: str) -> None:
    """Install or upgrade the operator and wait until it is ready.

    Args:
        cluster: Where.
        helm: The helm binary.
        image: Image of operator, auth service and gateway, with its tag.
        presence_image: Image of managed presence stores.

    Raises:
        InstallError: When Helm fails; its output says why.
    """
    repository, _, tag = image.rpartition(":")
    values = {
        "image": {"repository": repository, "tag": tag, "pullPolicy": "IfNotPresent"},
        "presenceImage": presence_image,
    }
    command = [
        str(helm), "upgrade", "--install", DEPLOYMENT, str(_CHART),
        "--kubeconfig", str(cluster.kubeconfig), "--namespace", NAMESPACE, "--create-namespace",
        "--wait", "--timeout", "180s", "--values", "-",
    ]  # fmt: skip
    done = subprocess.run(
        command, input=yaml.safe_dump(values), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise InstallError(f"helm upgrade --install: {done.stderr.strip()}")
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", _CRD)
