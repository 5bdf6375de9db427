"""Programs in Go that the bench needs (`peers/`), built into the cache."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from e2e.providers import progress
from e2e.providers.paths import cache

_PEERS = Path(__file__).parent / "peers"


def built(name: str) -> Path:
    """Return the path of a program, building it if its source has changed.

    Args:
        name: of its folder in `peers/`.

    Raises:
        StepError: it cannot be built.
    """
    source = _PEERS / name
    sources = sorted(path for path in source.iterdir() if path.suffix in {".go", ".mod", ".sum"})
    key = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    target = cache() / "bin" / f"{name}-{key}" / name
    if not target.exists():
        progress.run(
            f"building the bench's {name}",
            ["go", "build", "-trimpath", "-o", str(target), "."],
            log=cache() / "logs" / f"build-{name}.log",
            cwd=source,
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"},
        )
    return target
