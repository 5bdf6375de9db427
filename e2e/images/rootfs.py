"""Base images from Debian's packages, where no base image can be pulled."""

from __future__ import annotations

from pathlib import Path

from e2e.images import buildah
from e2e.images.content import content_hash
from e2e.providers import progress
from e2e.providers.paths import cache

_SUITE = "bookworm"


def base_image(name: str, packages: tuple[str, ...], *setup: str) -> str:
    """Build `localhost/<name>:<hash>` from Debian packages; return its tag.

    Args:
        name: of the image.
        packages: Debian packages beside the smallest system.
        setup: shell commands run inside while it is built.
    """
    key = content_hash((), _SUITE, *packages, *setup)
    tag = f"liveconnect-base-{name}:{key}"
    folder = cache() / "build" / f"base-{name}-{key}"
    done = folder / ".done"
    if done.exists():
        return f"localhost/{tag}"
    folder.mkdir(parents=True, exist_ok=True)
    progress.run(
        f"Debian base for {name}",
        [
            "mmdebstrap", "--variant=minbase", "--mode=root", f"--include={','.join(packages)}",
            *(f"--customize-hook=chroot \"$1\" sh -c '{command}'" for command in setup),
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
    return f"localhost/{tag}"
