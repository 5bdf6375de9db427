"""What is kept of a failure: objects, events and logs. Never Secrets."""

from __future__ import annotations

from pathlib import Path

from e2e.kit.cluster import Cluster, KubectlError

#: Folder of all artifacts, in the checkout.
FOLDER = Path("build/e2e-artifacts")
_KINDS = (
    "liveconnectclusters,statefulsets,deployments,pods,services,endpointslices,configmaps,"
    "persistentvolumeclaims,persistentvolumes,poddisruptionbudgets,networkpolicies,nodes"
)


def dump(cluster: Cluster, name: str) -> Path:
    """Write everything that tells why something failed and return the folder.

    Whatever cannot be read is noted in its file: a failure is never hidden by its own report.
    """
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    _write(cluster, folder / "overview.txt", "get", "all,pvc,events", "-A", "-o", "wide")
    _write(cluster, folder / "objects.yaml", "get", _KINDS, "-A", "-o", "yaml")
    _write(cluster, folder / "events.txt", "get", "events", "-A", "--sort-by=.lastTimestamp")
    for pod in _pods(cluster):
        namespace, pod_name = pod
        log = ("logs", pod_name, "-n", namespace, "--all-containers", "--timestamps")
        _write(cluster, folder / f"{namespace}.{pod_name}.log", *log, "--tail=5000")
        _write(cluster, folder / f"{namespace}.{pod_name}.previous.log", *log, "--previous")
    return folder


def _pods(cluster: Cluster) -> list[tuple[str, str]]:
    try:
        pods = cluster.items("pods", None)
    except KubectlError:
        return []
    return [(p["metadata"]["namespace"], p["metadata"]["name"]) for p in pods]


def _write(cluster: Cluster, path: Path, *args: str) -> None:
    try:
        text = cluster.kubectl(*args, timeout=30)
    except KubectlError as error:
        text = f"{error}\n"
        if "previous" in path.name:
            return
    path.write_text(text, encoding="utf-8")
