"""Which provider: the one that `LIVECONNECT_PROVIDER` names, or the one that works here."""

from __future__ import annotations

import os

from e2e.providers import progress
from e2e.providers.interface import Provider
from e2e.providers.kind import KindProvider, docker_works
from e2e.providers.local.provider import LocalProvider


def choose(name: str) -> Provider:
    """Return the provider of the cluster with this name.

    Raises:
        StepError: `LIVECONNECT_PROVIDER` is not `auto`, `kind` or `local`.
    """
    wanted = os.environ.get("LIVECONNECT_PROVIDER", "auto")
    if wanted == "kind" or (wanted == "auto" and docker_works()):
        return KindProvider(name)
    if wanted in {"auto", "local"}:
        return LocalProvider(name)
    raise progress.StepError(f"LIVECONNECT_PROVIDER={wanted}: auto, kind or local is needed")
