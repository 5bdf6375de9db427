"""An operator that starts before its CRD, as a chart applied all at once may have it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from e2e.providers.control_plane import ControlPlaneProvider
from e2e.providers.paths import ROOT
from tests.integration.controller.conftest import Eventually, Operator
from tests.integration.controller.test_reconcile import cluster

pytestmark = pytest.mark.integration


def test_it_waits_for_the_crd_and_then_works(tmp_path: Path, eventually: Eventually) -> None:
    plane = ControlPlaneProvider("early", tmp_path / "plane")
    operator = Operator(plane, tmp_path / "log")
    try:
        plane.create()
        operator.start()
        eventually(lambda: "is its CRD installed?" in operator.log.read_text())
        plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        body = yaml.safe_dump(cluster())
        eventually(lambda: plane.kubectl("apply", "--server-side", "-f", "-", stdin=body))
        eventually(lambda: "demo-subscriber" in plane.kubectl("get", "sts", "-o", "name"))
    finally:
        operator.kill()
        plane.delete()
