"""Control planes of our own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.kit.eventually import eventually
from e2e.providers.control_plane import ControlPlaneProvider
from e2e.providers.paths import ROOT

#: Loopback addresses of pods that a test answers for: few, each has a socket of its own.
ADDRESSES = "127.83.0.0/26"


@contextlib.contextmanager
def serving(provider: ControlPlaneProvider) -> Iterator[ControlPlaneProvider]:
    """Run a control plane with our CRD in it, while the block lasts."""
    try:
        provider.create()
        provider.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        established = ("wait", "--for=condition=Established", "crd", "--all", "--timeout=5s")
        # Right after the apply there are no conditions yet, which kubectl takes for an error.
        eventually(lambda: provider.kubectl(*established), within=30, what="CRD established")
        yield provider
    finally:
        provider.delete()


def of_package() -> Callable[..., Iterator[ControlPlaneProvider]]:
    """The fixture `control_plane` of a package; gone with its last test, so no other is meant."""
    return pytest.fixture(scope="package", name="control_plane")(_control_plane)


def _control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlaneProvider]:
    """An API server with our CRD in it."""
    folder = tmp_path_factory.mktemp("control-plane")
    with serving(ControlPlaneProvider("integration", Path(folder))) as provider:
        yield provider
