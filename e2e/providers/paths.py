"""Where things are kept outside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""


def cache() -> Path:
    """Return the cache: built binaries, images, wheels; safe to delete."""
    given = os.environ.get("LIVECONNECT_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "liveconnect"


def state(name: str) -> Path:
    """Return the state of a running cluster; `down` removes it."""
    return Path("/var/lib/liveconnect") / name if os.geteuid() == 0 else cache() / "run" / name
