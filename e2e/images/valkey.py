"""The presence store: Debian's Redis server, under both names."""

from __future__ import annotations

from pathlib import Path

from e2e.images import buildah
from e2e.images.content import content_hash
from e2e.images.rootfs import base_image
from e2e.providers.paths import cache

TAG = "liveconnect-valkey:dev"
_DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
RUN ln -s /usr/bin/redis-server /usr/bin/valkey-server
USER 999:999
CMD ["valkey-server"]
"""


def valkey_archive() -> Path:
    """Return the image's archive, building it if needed."""
    base = base_image("redis", ("redis-server",))
    target = cache() / "images" / f"valkey-{content_hash((), base, _DOCKERFILE)}.tar"
    if target.exists():
        return target
    context = cache() / "build" / "valkey"
    context.mkdir(parents=True, exist_ok=True)
    (context / "Dockerfile").write_text(_DOCKERFILE)
    buildah.build(TAG, context, context / "Dockerfile", {"BASE_IMAGE": base})
    return buildah.export(TAG, target)
