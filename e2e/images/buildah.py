"""buildah without privileges of a daemon, its storage in the cache."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from e2e.providers import progress
from e2e.providers.paths import cache


def _base() -> list[str]:
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
    """Build a Dockerfile, layers cached."""
    command = [
        *_base(),
        "bud",
        "--isolation",
        "chroot",
        "--layers",
        "--format",
        "docker",
        "-t",
        tag,
    ]
    for key, value in (arguments or {}).items():
        command += ["--build-arg", f"{key}={value}"]
    for volume in volumes:
        command += ["-v", volume]
    command += ["-f", str(dockerfile), str(context)]
    log = cache() / "logs" / f"image-{tag.replace('/', '-').replace(':', '-')}.log"
    progress.run(f"building image {tag}", command, log=log, env=dict(os.environ))


def export(tag: str, target: Path) -> Path:
    """Write an image as a docker archive."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    progress.run(
        f"exporting image {tag}",
        [*_base(), "push", tag, f"docker-archive:{unfinished}:docker.io/library/{tag}"],
        log=cache() / "logs" / "image-export.log",
    )
    unfinished.rename(target)
    return target
