"""`manifests/install.yaml`: the chart with its defaults, for those without Helm."""

from __future__ import annotations

import subprocess
from pathlib import Path

from e2e.providers.binaries import binary

NAMESPACE = "liveconnect-system"
_HEAD = f"""\
# The operator of LiveConnect with its defaults. Rendered from charts/liveconnect-operator.
#   kubectl apply --server-side -f install.yaml
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    app.kubernetes.io/part-of: liveconnect
    pod-security.kubernetes.io/enforce: restricted
"""
#: Helm's own marks, which would be untrue on objects that Helm does not manage.
_OF_HELM = ("helm.sh/chart:", "app.kubernetes.io/managed-by: Helm")


def render(chart: Path, *values: str) -> str:
    """`helm template` of the chart; `values` are `key=value`.

    Raises:
        subprocess.CalledProcessError: helm refused; `stderr` says why.
        StepError: helm is not there and cannot be built.
    """
    settings = [part for value in values for part in ("--set", value)]
    return subprocess.run(
        [str(binary("helm")), "template", "liveconnect-operator", str(chart),
         "--namespace", NAMESPACE, *settings],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip


def manifest(chart: Path) -> str:
    """Everything that an installation consists of, its Namespace first."""
    lines = render(chart, "crds.keep=false").splitlines()
    kept = [line for line in lines if not line.strip().startswith(_OF_HELM)]
    return _HEAD + "".join(f"{line.rstrip()}\n" for line in kept)
