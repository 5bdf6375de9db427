"""Two pods that do not reach each other, while everybody else reaches both.

Only where this machine is the node, and we are root on it: routes are changed in the pods' own
network namespaces.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path


class NoWayInError(RuntimeError):
    """The pods' network namespaces are not on this machine."""


@contextlib.contextmanager
def cut(one: str, other: str) -> Iterator[None]:
    """Drop what two pods send each other; mend it in the end.

    Args:
        one: address of the one pod.
        other: address of the other.

    Raises:
        NoWayInError: their namespaces are not on this machine.
    """
    doors = {address: _namespace(address) for address in (one, other)}
    with contextlib.ExitStack() as mending:
        for here, there in ((one, other), (other, one)):
            _ip(doors[here], "route", "add", "blackhole", there)
            mending.callback(_ip, doors[here], "route", "del", "blackhole", there)
        yield


def _namespace(address: str) -> str:
    """A process's file of the network namespace that has an address."""
    if os.geteuid() != 0:
        raise NoWayInError("needs root")
    seen: set[str] = set()
    for path in Path("/proc").glob("[0-9]*/ns/net"):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            identity = str(path.readlink())
            if identity in seen:
                continue
            seen.add(identity)
            links = json.loads(_ip(str(path), "-json", "address"))
            if any(a.get("local") == address for link in links for a in link["addr_info"]):
                return str(path)
    raise NoWayInError(f"no network namespace on this machine has {address}")


def _ip(namespace: str, *words: str) -> str:
    command = ["nsenter", f"--net={namespace}", "ip", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
