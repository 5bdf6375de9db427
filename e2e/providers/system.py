"""Debian packages that the local provider needs."""

from __future__ import annotations

import os
import shutil

from e2e.providers import progress
from e2e.providers.paths import cache

#: A command that each package brings (a path where it is no command), to see whether it is there.
PACKAGES = {
    "runc": "runc",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "iptables": "iptables-legacy",
    "ipset": "ipset",
    "iproute2": "ip",
    "conntrack": "conntrack",
    "util-linux": "nsenter",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
}
TEST_PACKAGES = {
    "nodejs": "node",
    "npm": "npm",
    "redis-server": "redis-server",
    "mosquitto": "/usr/sbin/mosquitto",
    "mosquitto-clients": "mosquitto_pub",
    "wrk": "wrk",
}


def _there(command: str) -> bool:
    return os.path.exists(command) if command.startswith("/") else shutil.which(command) is not None  # noqa: PTH110


def ensure(packages: dict[str, str]) -> None:
    """Install what is missing; no service is started.

    Raises:
        StepError: it cannot be installed here; says what to install.
    """
    missing = [package for package, command in packages.items() if not _there(command)]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise progress.StepError(f"please install: {' '.join(missing)} (needs root and apt-get)")
    logs = cache() / "logs"
    # policy-rc.d would be the usual way to keep services down; RUNLEVEL=1 does it for one run.
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    progress.run(
        "apt-get update", ["apt-get", "update", "-qq"], log=logs / "apt-update.log", env=env
    )
    progress.run(
        f"apt-get install {' '.join(missing)}",
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing],
        log=logs / "apt-install.log",
        env=env,
    )


if __name__ == "__main__":
    ensure({**PACKAGES, **TEST_PACKAGES})
