"""`liveconnect:dev`, from the same Dockerfile that users build."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from e2e.images import buildah
from e2e.images.content import content_hash
from e2e.images.rootfs import base_image
from e2e.providers import progress
from e2e.providers.paths import ROOT, cache

TAG = "liveconnect:dev"


def _wheels() -> Path:
    """Fetch the locked wheels once per lock file."""
    lock = ROOT / "requirements.lock"
    folder = cache() / "wheels" / content_hash([lock])
    if not (folder / ".done").exists():
        progress.run(
            "fetching locked wheels",
            [sys.executable, "-m", "pip", "download", "-q", "--only-binary=:all:",
             "--require-hashes", "-r", str(lock), "-d", str(folder)],
            log=cache() / "logs" / "wheels.log",
        )  # fmt: skip
        (folder / ".done").touch()
    return folder


def wheel() -> Path:
    """Build our own wheel into `build/dist`."""
    target = ROOT / "build" / "dist"
    shutil.rmtree(target, ignore_errors=True)
    progress.run(
        "building the wheel",
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation",
         "-w", str(target), str(ROOT)],
        log=cache() / "logs" / "wheel.log",
    )  # fmt: skip
    return target


def product_archive() -> Path:
    """Return the image's archive, building it if anything in it changed."""
    sources = [ROOT / "operator" / "liveconnect", ROOT / "requirements.lock", ROOT / "Dockerfile",
               ROOT / "pyproject.toml"]  # fmt: skip
    target = cache() / "images" / f"liveconnect-{content_hash(sources)}.tar"
    if target.exists():
        return target
    base = base_image("python", ("python3", "python3-venv", "ca-certificates"))
    wheel()
    options = ""
    volumes: tuple[str, ...] = ()
    if not buildah.with_docker():
        options, volumes = "--no-index --find-links=/wheels", (f"{_wheels()}:/wheels:ro",)
    buildah.build(
        TAG,
        ROOT,
        ROOT / "Dockerfile",
        {"BASE_IMAGE": base, "PIP_OPTIONS": options},
        volumes,
    )
    for old in (cache() / "images").glob("liveconnect-[0-9a-f]*.tar"):
        if len(old.stem) == len(target.stem):
            old.unlink()
    return buildah.export(TAG, target)
