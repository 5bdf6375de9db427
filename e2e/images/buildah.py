"""Building images: with Docker where it works, otherwise with buildah, which needs no daemon."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from e2e.providers import progress
from e2e.providers.kind import docker_works
from e2e.providers.paths import cache


@functools.cache
def with_docker() -> bool:
    """Whether Docker builds; then base images can be pulled, too."""
    return docker_works()


def _buildah() -> list[str]:
    storage = cache() / "buildah"
    return [
        "buildah", "--root", str(storage / "root"), "--runroot", str(storage / "run"),
        "--storage-driver", "overlay",
    ]  # fmt: skip


def build(
    tag: str,
    context: Path,
    dockerfile: Path,
    arguments: Mapping[str, str] | None = None,
    volumes: Sequence[str] = (),
) -> None:
    """Build a Dockerfile, layers cached; volumes exist only while buildah builds."""
    if with_docker():
        command = ["docker", "build", "-t", tag]
    else:
        command = [*_buildah(), "bud", "--isolation", "chroot", "--layers", "--format", "docker"]
        command += ["-t", tag, *(part for volume in volumes for part in ("-v", volume))]
    for key, value in (arguments or {}).items():
        command += ["--build-arg", f"{key}={value}"]
    command += ["-f", str(dockerfile), str(context)]
    log = cache() / "logs" / f"image-{tag.replace('/', '-').replace(':', '-')}.log"
    progress.run(f"building image {tag}", command, log=log, env=dict(os.environ))


def export(tag: str, target: Path) -> Path:
    """Write an image as a docker archive."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    full = f"docker.io/library/{tag}"
    if with_docker():
        command = ["docker", "save", "-o", str(unfinished), tag]
    else:
        command = [*_buildah(), "push", tag, f"docker-archive:{unfinished}:{full}"]
    progress.run(f"exporting image {tag}", command, log=cache() / "logs" / "image-export.log")
    unfinished.rename(target)
    return target
