"""A slow cable: two ends of a veth pair with the kernel's token bucket filter (tbf) on both.

The far end is a network namespace with a toxiproxy in it, which a second, fast cable joins to this
machine: no route and no setting of the machine changes. Unlike toxiproxy's own `bandwidth`, the
bucket counts whole packets, and drops them when its queue is full, so that TCP has to send anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from e2e.kit.badnetwork import BadNetwork, Road
from e2e.kit.phone import Address

_NAMESPACE = "lc-slow"
#: Addresses for tests of networks (RFC 2544), a /30 for each cable: this machine, far end.
_SLOW = ("198.18.77.1", "198.18.77.2")
_FAST = ("198.18.77.5", "198.18.77.6")
_SLOW_NEAR, _SLOW_FAR = "lc-slow0", "slow0"
_FAST_NEAR, _FAST_FAR = "lc-fast0", "fast0"


class SlowLinkError(RuntimeError):
    """The kernel refused; says what it said."""


@dataclass(frozen=True)
class Speed:
    """Of a cable, in bits per second."""

    up: int
    down: int
    queue_bytes: int
    """What waits at most, in each direction; what does not fit is lost."""


class Wire(NamedTuple):
    """What went over a slow cable, headers of IP and TCP included."""

    up_bytes: int
    down_bytes: int
    lost_packets: int
    """Dropped because the queue was full."""


def why_not() -> str:
    """Why there can be no slow cable here; empty when there can."""
    if os.geteuid() != 0:
        return "network namespaces and tbf need root"
    missing = [command for command in ("ip", "tc") if shutil.which(command) is None]
    if missing:
        return f"{', '.join(missing)} not found: install iproute2"
    with contextlib.suppress(SlowLinkError):
        _down()
    try:
        _up(Speed(64_000, 64_000, 8_000))
    except SlowLinkError as error:
        return f"this machine gives no namespace with tbf: {error}"
    finally:
        _down()
    return ""


class SlowLink:
    """The cable, which goes with its `with` block."""

    def __init__(self, near: BadNetwork, binary: Path, log: Path, speed: Speed) -> None:
        """Prepare it.

        Args:
            near: The toxiproxy of this machine: it reaches the load balancer.
            binary: toxiproxy's server, for the far end.
            log: Where the output of the far one goes.
            speed: Of the cable.
        """
        self._near = near
        self._speed = speed
        inside = ("ip", "netns", "exec", _NAMESPACE)
        self._far = BadNetwork(binary, log, inside, host=_FAST[1])
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Lay it; what an earlier test left is removed first.

        Raises:
            SlowLinkError: When the kernel refuses.
        """
        _down()
        with self._stack as stack:
            stack.callback(_down)
            _up(self._speed)
            stack.enter_context(self._far)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Remove everything."""
        self._stack.close()

    def road(self, upstream: Address) -> Road:
        """Build a road to an address that begins at the cable's far end."""
        bridge = self._near.road(upstream, host=_FAST[0])
        return self._far.road(bridge.address, host=_SLOW[1])

    def wire(self) -> Wire:
        """What the cable has carried so far, and lost."""
        near, far = _filter(_SLOW_NEAR), _filter(_SLOW_FAR, inside=True)
        return Wire(near["bytes"], far["bytes"], near["drops"] + far["drops"])


def _up(speed: Speed) -> None:
    _run("ip", "netns", "add", _NAMESPACE)
    for near, far, ends in ((_SLOW_NEAR, _SLOW_FAR, _SLOW), (_FAST_NEAR, _FAST_FAR, _FAST)):
        _run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", _NAMESPACE)
        _run("ip", "address", "add", f"{ends[0]}/30", "dev", near)
        _run("ip", "link", "set", near, "up")
        _run("ip", "-n", _NAMESPACE, "address", "add", f"{ends[1]}/30", "dev", far)
        _run("ip", "-n", _NAMESPACE, "link", "set", far, "up")
    _run("ip", "-n", _NAMESPACE, "link", "set", "lo", "up")
    _shape((), _SLOW_NEAR, speed.up, speed)
    _shape(("-n", _NAMESPACE), _SLOW_FAR, speed.down, speed)


def _shape(where: tuple[str, ...], link: str, rate: int, speed: Speed) -> None:
    _run(
        "tc", *where, "qdisc", "add", "dev", link, "root", "tbf",
        "rate", f"{rate}bit", "burst", "3000", "limit", str(speed.queue_bytes),
    )  # fmt: skip


def _filter(link: str, *, inside: bool = False) -> dict[str, int]:
    where = ("-n", _NAMESPACE) if inside else ()
    found = json.loads(_run("tc", *where, "-s", "-j", "qdisc", "show", "dev", link))
    only: dict[str, int] = next(one for one in found if one["kind"] == "tbf")
    return only


def _down() -> None:
    """Remove the namespace, and with it the far ends and so the cables; there may be none."""
    if _NAMESPACE in _run("ip", "netns", "list").split():
        _run("ip", "netns", "delete", _NAMESPACE)
    # A namespace goes in the background; its cables would be in the way of new ones until then.
    for link in (_SLOW_NEAR, _FAST_NEAR):
        with contextlib.suppress(SlowLinkError):
            _run("ip", "link", "delete", link)


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=20)
    except subprocess.CalledProcessError as error:
        raise SlowLinkError(f"{' '.join(command)}: {error.stderr.strip()}") from None
    return done.stdout
