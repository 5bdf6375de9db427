"""`liveconnect-dev-broker:dev`: the stand-in for VerneMQ, in an image of the same shape."""

from __future__ import annotations

import os
from pathlib import Path

from e2e.images import buildah
from e2e.images.content import content_hash
from e2e.images.rootfs import base_image
from e2e.providers import progress
from e2e.providers.paths import ROOT, cache

TAG = "liveconnect-dev-broker:dev"
_SOURCE = ROOT / "e2e" / "broker"
_DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY vernemq /vernemq/bin/vernemq
RUN mkdir -p /vernemq/etc /vernemq/data /vernemq/log && chown -R 10000:10000 /vernemq
WORKDIR /vernemq
USER 10000:10000
CMD ["/vernemq/bin/vernemq", "console", "-noshell", "-noinput"]
"""


def broker_binary() -> Path:
    """Return the built dev broker."""
    target = cache() / "bin" / f"dev-broker-{content_hash([_SOURCE])}" / "vernemq"
    if not target.exists():
        unfinished = target.with_suffix(".new")
        target.parent.mkdir(parents=True, exist_ok=True)
        progress.run(
            "building the dev broker",
            ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", str(unfinished), "."],
            log=cache() / "logs" / "build-dev-broker.log",
            cwd=_SOURCE,
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"},
        )
        unfinished.rename(target)
    return target


def broker_archive() -> Path:
    """Return the image's archive, building it if needed."""
    base = base_image("broker", ("curl", "ca-certificates"))
    target = cache() / "images" / f"broker-{content_hash([_SOURCE], base, _DOCKERFILE)}.tar"
    if target.exists():
        return target
    context = cache() / "build" / "broker"
    context.mkdir(parents=True, exist_ok=True)
    (context / "vernemq").write_bytes(broker_binary().read_bytes())
    (context / "vernemq").chmod(0o755)
    (context / "Dockerfile").write_text(_DOCKERFILE)
    buildah.build(TAG, context, context / "Dockerfile", {"BASE_IMAGE": base})
    return buildah.export(TAG, target)
