"""An S3-compatible object store on this machine: moto's server, in an environment of its own."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
import socket
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from minio import Minio

from e2e.kit.eventually import eventually
from e2e.providers import progress
from e2e.providers.paths import ROOT, cache

_LOCK = ROOT / "e2e" / "tools" / "moto" / "requirements.lock"
#: moto takes any key.
_KEY, _SECRET = "testing", "testing"
_REGION = "us-east-1"


@dataclass(frozen=True)
class ObjectStore:
    """A store that runs."""

    address: str
    """`host:port`."""

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"http://{self.address}"

    def client(self) -> Minio:
        """A client that may do everything; knows the region, and so signs without asking."""
        return Minio(
            self.address, access_key=_KEY, secret_key=_SECRET, secure=False, region=_REGION
        )


@contextlib.contextmanager
def running(folder: Path) -> Iterator[ObjectStore]:
    """Start a store with nothing in it.

    Args:
        folder: for its log.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [str(_python()), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "moto.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: _listens(port), within=30, every=0.05, what="the object store")
        yield ObjectStore(f"127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


def _python() -> Path:
    """Return the interpreter that has moto, making its environment if it is not there."""
    key = hashlib.sha256(_LOCK.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache() / f"moto-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    python, done = folder / "bin" / "python", folder / ".done"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder / "lib", ignore_errors=True)
            venv.create(folder, with_pip=True)
            progress.run(
                "installing the object store",
                [str(python), "-m", "pip", "install", "-q", "--require-hashes", "-r", str(_LOCK)],
                log=cache() / "logs" / "install-moto.log",
            )
            done.touch()
    return python


if __name__ == "__main__":
    progress.say(str(_python()))
