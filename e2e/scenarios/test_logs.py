"""Nothing logs a secret. Runs last, when everything has happened."""

from __future__ import annotations

import base64
import re

import pytest

from e2e.kit.cluster import Cluster, KubectlError, Manifest
from e2e.kit.install import NAMESPACE

pytestmark = pytest.mark.e2e

#: Header and payload of any JWT; whole or cut.
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]+")


def _logs(cluster: Cluster, namespace: str, selector: str = "") -> dict[str, str]:
    logs = {}
    for pod in cluster.items("pods", namespace, selector):
        name = pod["metadata"]["name"]
        arguments = ("logs", name, "-n", namespace, "--all-containers", "--tail=-1")
        logs[name] = cluster.kubectl(*arguments)
        try:
            logs[f"{name} (previous)"] = cluster.kubectl(*arguments, "--previous")
        except KubectlError:
            continue  # it never restarted
    return logs


def test_no_log_holds_a_token_or_a_password(cluster: Cluster, quickstart: Manifest) -> None:
    secrets = {
        base64.b64decode(value).decode(errors="replace")
        for secret in cluster.items("secrets", "default", "app.kubernetes.io/part-of=liveconnect")
        for value in secret["data"].values()
    }
    assert secrets, "no Secret of the cluster object was found: nothing is checked"
    # Pods of others come and go.
    ours = f"app.kubernetes.io/instance={quickstart['metadata']['name']}"
    logs = {**_logs(cluster, "default", ours), **_logs(cluster, NAMESPACE)}
    assert sum(map(len, logs.values())), "no pod logs anything: nothing is checked"
    for pod, text in logs.items():
        found = _TOKEN.search(text)
        assert found is None, f"{pod} logs a token: {found.group()[:24]}…"
        assert not [s for s in secrets if s and s in text], f"{pod} logs a secret of the cluster"


def test_services_log_json_lines(cluster: Cluster, quickstart: Manifest) -> None:
    name = quickstart["metadata"]["name"]
    for component in ("auth", "gateway"):
        selector = f"app.kubernetes.io/instance={name},app.kubernetes.io/component={component}"
        text = cluster.kubectl("logs", "-n", "default", "-l", selector, "--tail=50")
        lines = [line for line in text.splitlines() if line.strip()]
        assert lines, component
        assert all(line.startswith("{") and line.endswith("}") for line in lines), component
