"""What an image is made from, as one hash: unchanged content is not built again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def content_hash(paths: Iterable[Path], *words: str) -> str:
    """Twelve hex digits over the files (folders are walked) and words."""
    digest = hashlib.sha256("\0".join(words).encode())
    for path in paths:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            if "__pycache__" in file.parts:
                continue
            digest.update(str(file.relative_to(path.parent)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]
