"""A user at the API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from e2e.providers.control_plane import ControlPlaneProvider
from e2e.providers.progress import StepError

NAMESPACE = "crd-tests"


class ApiServer:
    """What a user does with cluster objects, in the tests' namespace."""

    def __init__(self, plane: ControlPlaneProvider) -> None:
        self._plane = plane

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl."""
        return self._plane.kubectl("-n", NAMESPACE, *arguments, stdin=stdin)

    def apply(self, body: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Server-side apply; the object as the server has it then.

        Raises:
            StepError: refused; the message is what the user reads.
        """
        dry = ["--dry-run=server"] if dry_run else []
        found: dict[str, Any] = json.loads(
            self.kubectl(
                "apply", "--server-side", "--force-conflicts", *dry, "-o", "json", "-f", "-",
                stdin=yaml.safe_dump(body),
            )
        )  # fmt: skip
        return found

    def refusal(self, body: dict[str, Any], *, dry_run: bool = True) -> str:
        """What the server says against it; empty when it says nothing."""
        try:
            self.apply(body, dry_run=dry_run)
        except StepError as error:
            return str(error)
        return ""


@pytest.fixture(scope="package")
def api_server(control_plane: ControlPlaneProvider) -> Iterator[ApiServer]:
    """The API server, with a namespace of these tests."""
    control_plane.kubectl("create", "namespace", NAMESPACE)
    yield ApiServer(control_plane)
    control_plane.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
