"""A presence store for as long as a row needs it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from e2e.bench.cores import other_core, pinned
from e2e.bench.processes import free_port, listens, running


@contextlib.contextmanager
def store(folder: Path) -> Iterator[str]:
    """Run an empty store in a folder, beside the measured core; its URL.

    Raises:
        RuntimeError: no store program is installed, or it ended at once.
    """
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        raise RuntimeError("valkey-server or redis-server is needed: make packages")
    port = free_port()
    command = pinned(
        other_core(), program, "--port", str(port), "--bind", "127.0.0.1", "--save", "",
        "--dir", str(folder),
    )  # fmt: skip
    with running(command, lambda: listens(port), folder / "store.log"):
        yield f"redis://127.0.0.1:{port}/0"
