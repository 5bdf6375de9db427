"""The Go server that the auth service is compared with, built into the cache."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from e2e.providers import progress
from e2e.providers.paths import cache

_SOURCE = Path(__file__).parent / "peers" / "authpeer"


def binary() -> Path:
    """Return the path of the binary, building it if its source has changed.

    Raises:
        StepError: it cannot be built.
    """
    sources = sorted(path for path in _SOURCE.iterdir() if path.suffix in {".go", ".mod", ".sum"})
    key = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    target = cache() / "bin" / f"authpeer-{key}" / "authpeer"
    if not target.exists():
        progress.run(
            "building the Go peer of the auth service",
            ["go", "build", "-trimpath", "-o", str(target), "."],
            log=cache() / "logs" / "build-authpeer.log",
            cwd=_SOURCE,
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"},
        )
    return target
