"""`kubectl port-forward` to a pod or a Service, on a free local port."""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
from types import TracebackType
from typing import Self

from e2e.kit.cluster import Cluster
from e2e.kit.eventually import eventually
from e2e.kit.phone import Address

_LINE = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ->")


class PortForward:
    """A way into the cluster that ends with the `with` block.

    kubectl gives up when its pod goes; asking for `address` then begins anew.
    """

    def __init__(self, cluster: Cluster, namespace: str, target: str, port: int) -> None:
        """Prepare a forward.

        Args:
            cluster: Where.
            namespace: Of the target.
            target: `pod/name` or `service/name`.
            port: The target's port.
        """
        self._cluster = cluster
        self._namespace = namespace
        self._target = target
        self._port = port
        self._process: subprocess.Popen[str] | None = None
        self._said: list[str] = []

    def __enter__(self) -> Self:
        """Begin to forward."""
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        self.close()

    @property
    def address(self) -> Address:
        """Where to connect to, on this machine."""
        if self._process is None or self._process.poll() is not None:
            self._start()
        return Address("127.0.0.1", self._local_port())

    def close(self) -> None:
        """Stop kubectl."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None

    def _start(self) -> None:
        def begun() -> bool:
            self.close()
            self._spawn()
            eventually(self._answered, within=10, every=0.02, what="kubectl port-forward")
            if not self._local_port():
                raise ConnectionError(" ".join(self._said))
            return True

        eventually(begun, within=30, what=f"port-forward to {self._target}")

    def _spawn(self) -> None:
        command = self._cluster.command(
            "port-forward", "-n", self._namespace, "--address=127.0.0.1",
            self._target, f":{self._port}",
        )  # fmt: skip
        self._said = []
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        threading.Thread(target=_collect, args=(self._process, self._said), daemon=True).start()

    def _answered(self) -> bool:
        ended = self._process is None or self._process.poll() is not None
        return ended or bool(self._local_port())

    def _local_port(self) -> int:
        found = _LINE.search("\n".join(self._said))
        return int(found.group(1)) if found else 0


def _collect(process: subprocess.Popen[str], said: list[str]) -> None:
    """Read what kubectl says until it ends, so that it never blocks on a full pipe."""
    if process.stdout is None:
        return
    with contextlib.suppress(ValueError):  # closed while it was being read
        said.extend(line.rstrip() for line in process.stdout)
