"""Servers that run for a round."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from e2e.kit.eventually import eventually

_READY_SECONDS = 30.0


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(
    command: Sequence[str],
    ready: Callable[[], bool],
    log: Path,
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server while the block lasts.

    Raises:
        RuntimeError: it ended before it was ready; the message has its output.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(list(command), env=env, stdout=output, stderr=output)

    def is_ready() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"{command[0]} ended at once:\n{log.read_text()[-2000:]}")
        return ready()

    try:
        eventually(is_ready, within=_READY_SECONDS, every=0.05, what=f"{command} is ready")
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def listens(port: int) -> bool:
    """Return whether somebody accepts connections there."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


def answers(url: str) -> bool:
    """Return whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - ours
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def text(url: str) -> str:
    """Return what is there."""
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - ours
        return str(answer.read().decode())


def counter(url: str, name: str, *labels: str) -> float:
    """Return the sum of a Prometheus counter's series that have all these labels.

    Args:
        url: of the metrics.
        name: of the counter.
        labels: as they are written there, such as `outcome="allowed"`.
    """
    lines = text(url).splitlines()
    series = (line for line in lines if line.startswith((f"{name}{{", f"{name} ")))
    return sum(
        float(line.rpartition(" ")[2]) for line in series if all(label in line for label in labels)
    )
