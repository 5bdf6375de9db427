"""A user at the API server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from e2e.kit.cluster import Cluster, KubectlError
from e2e.providers.binaries import binary
from e2e.providers.control_plane import ControlPlaneProvider
from tests.integration import planes

NAMESPACE = "crd-tests"
control_plane = planes.of_package()


class ApiServer:
    """What a user does with cluster objects, in the tests' namespace."""

    def __init__(self, plane: ControlPlaneProvider) -> None:
        self._plane = plane
        self._cluster = Cluster(plane.kubeconfig(), str(binary("kubectl")))

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl."""
        return self._plane.kubectl("-n", NAMESPACE, *arguments, stdin=stdin)

    def apply(self, body: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Server-side apply; the object as the server has it then.

        Raises:
            KubectlError: refused; the message is what the user reads.
        """
        [found] = self._cluster.apply(body, namespace=NAMESPACE, dry_run=dry_run)
        return found

    def refusal(self, body: dict[str, Any], *, dry_run: bool = True) -> str:
        """What the server says against it; empty when it says nothing."""
        try:
            self.apply(body, dry_run=dry_run)
        except KubectlError as error:
            return str(error)
        return ""


@pytest.fixture(scope="package")
def api_server(control_plane: ControlPlaneProvider) -> Iterator[ApiServer]:
    """The API server, with a namespace of these tests."""
    control_plane.kubectl("create", "namespace", NAMESPACE)
    yield ApiServer(control_plane)
    control_plane.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
