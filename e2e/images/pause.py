"""The sandbox image: one static binary."""

from __future__ import annotations

import os
from pathlib import Path

from e2e.images import buildah
from e2e.images.content import content_hash
from e2e.providers import progress
from e2e.providers.paths import ROOT, cache


def pause_archive() -> Path:
    """Return the image's archive, building it if needed."""
    source = ROOT / "e2e" / "images" / "pause-go"
    key = content_hash([source])
    target = cache() / "images" / f"pause-{key}.tar"
    if target.exists():
        return target
    context = cache() / "build" / "pause"
    context.mkdir(parents=True, exist_ok=True)
    progress.run(
        "building pause",
        ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", str(context / "pause"), "."],
        log=cache() / "logs" / "build-pause.log",
        cwd=source,
        env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"},
    )
    (context / "Dockerfile").write_text(
        'FROM scratch\nCOPY pause /pause\nUSER 65535:65535\nENTRYPOINT ["/pause"]\n'
    )
    buildah.build("liveconnect-pause:1", context, context / "Dockerfile")
    return buildah.export("liveconnect-pause:1", target)
