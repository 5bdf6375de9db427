"""`kubectl liveconnect` at a real API server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from e2e.providers import binaries
from e2e.providers.control_plane import ControlPlaneProvider
from tests.integration.crd.objects import good, good_topic, with_field

pytestmark = pytest.mark.integration

NAMESPACE = "plugin"


def ask(plane: ControlPlaneProvider, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Ask as a user does, who has kubectl and the plugin on the PATH."""
    folders = (binaries.binary("kubectl").parent, Path(sys.executable).parent)
    path = os.pathsep.join([*(str(folder) for folder in folders), os.environ["PATH"]])
    return subprocess.run(
        [str(binaries.binary("kubectl")), "liveconnect", *arguments],
        env={**os.environ, "PATH": path, "KUBECONFIG": str(plane.kubeconfig())},
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_it_reads_the_objects_from_the_cluster(
    control_plane: ControlPlaneProvider, tmp_path: Path
) -> None:
    control_plane.kubectl("create", "namespace", NAMESPACE)
    delegation = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}},
        "filters": ["shop/#"],
        "allow": ["subscribe"],
    }
    objects = [
        with_field(good(), "spec.auth.delegations", [delegation]),
        with_field(
            with_field(good_topic(), "spec.cluster", {"name": "demo"}),
            "spec.rules",
            [{"filter": "shop/{clientId}", "allow": ["subscribe"]}],
        ),
    ]
    for body in objects:
        control_plane.kubectl(
            "-n", NAMESPACE, "apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(body)
        )
    claims = tmp_path / "claims.json"
    claims.write_text(json.dumps({"client_id": "phone", "sub": "42"}))
    who = ("--as-claims", str(claims), "-n", NAMESPACE)
    try:
        yes = ask(control_plane, "may-i", "subscribe", "shop/phone", "orders/42/7/status", *who)
        assert yes.returncode == 0, yes.stderr
        assert yes.stdout.splitlines() == [
            "yes: subscribe shop/phone with QoS 2 – LiveConnectTopic plugin/orders rules[0]",
            "yes: subscribe orders/42/7/status with QoS 2 – spec.auth.topics[0]",
        ]
        no = ask(control_plane, "may-i", "publish", "shop/phone", *who)
        assert no.returncode == 1
        assert no.stdout.startswith("no: publish shop/phone: no-rule")
        none = ask(control_plane, "may-i", "connect", *who, "--cluster", "other")
        assert none.returncode == 2
        assert 'liveconnectclusters.liveconnect.io "other" not found' in none.stderr
    finally:
        control_plane.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
