"""Base images from Debian's packages, where no base image can be pulled."""

from __future__ import annotations

from pathlib import Path

from e2e.images import buildah
from e2e.images.content import content_hash
from e2e.providers import progress
from e2e.providers.paths import cache

_SUITE = "bookworm"


def base_image(name: str, packages: tuple[str, ...]) -> str:
    """Build `localhost/<name>:<hash>` from Debian packages; return its tag.

    Args:
        name: of the image.
        packages: Debian packages beside the smallest system.
    """
    key = content_hash((), _SUITE, *packages)
    tag = f"liveconnect-base-{name}:{key}"
    folder = cache() / "build" / f"base-{name}-{key}"
    done = folder / ".done"
    reference = tag if buildah.with_docker() else f"localhost/{tag}"
    if done.exists():
        return reference
    folder.mkdir(parents=True, exist_ok=True)
    if buildah.with_docker():
        _pulled(tag, packages, folder)
        done.touch()
        return reference
    progress.run(
        f"Debian base for {name}",
        [
            "mmdebstrap", "--variant=minbase", "--mode=root", f"--include={','.join(packages)}",
            "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
            _SUITE, str(folder / "rootfs.tar"),
        ],
        log=cache() / "logs" / f"rootfs-{name}.log",
    )  # fmt: skip
    dockerfile: Path = folder / "Dockerfile"
    dockerfile.write_text("FROM scratch\nADD rootfs.tar /\n")
    buildah.build(tag, folder, dockerfile)
    (folder / "rootfs.tar").unlink()
    done.touch()
    return reference


def _pulled(tag: str, packages: tuple[str, ...], folder: Path) -> None:
    """The same packages on a base image that Docker pulls."""
    install = "apt-get install -y --no-install-recommends " + " ".join(packages)
    (folder / "Dockerfile").write_text(
        f"FROM docker.io/library/debian:{_SUITE}-slim\n"
        f"RUN apt-get update && {install} && rm -rf /var/lib/apt/lists/*\n"
    )
    buildah.build(tag, folder, folder / "Dockerfile")
