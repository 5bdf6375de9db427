"""The node's own network namespace, joined to the host by one veth pair.

Bridges, iptables rules and addresses of the cluster live inside, so the host's own are never
touched and all of them go with the namespace.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

from e2e.providers.progress import StepError

POD_CIDR = "10.244.0.0/16"
SERVICE_CIDR = "10.96.0.0/16"
DNS_ADDRESS = "10.96.0.10"
HOST_ADDRESS = "10.250.0.1"
NODE_ADDRESS = "10.250.0.2"


@dataclass(frozen=True)
class Network:
    """One cluster's namespace; only one local cluster runs at a time."""

    cluster: str

    @property
    def namespace(self) -> str:
        """Name of the network namespace."""
        return f"lc-{self.cluster}"

    @property
    def link(self) -> str:
        """The host's end of the veth pair; names are at most 15 characters."""
        return "lc-host0"

    def inside(self, *command: str) -> list[str]:
        """A command line that runs in the namespace (the host's mounts stay)."""
        return ["nsenter", f"--net=/run/netns/{self.namespace}", *command]

    def up(self) -> None:
        """Make the namespace and the link, unless they are there.

        Raises:
            StepError: this kernel does not filter what is bridged.
        """
        if self.namespace not in _run("ip", "netns", "list").split():
            _run("ip", "netns", "add", self.namespace)
        if not _works("ip", "link", "show", self.link):
            _run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0",
                 "netns", self.namespace)  # fmt: skip
            _run("ip", "address", "add", f"{HOST_ADDRESS}/30", "dev", self.link)
            _run(*self.inside("ip", "address", "add", f"{NODE_ADDRESS}/30", "dev", "eth0"))
        _run("ip", "link", "set", self.link, "up")
        _run(*self.inside("ip", "link", "set", "lo", "up"))
        _run(*self.inside("ip", "link", "set", "eth0", "up"))
        _run(*self.inside("ip", "route", "replace", "default", "via", HOST_ADDRESS))
        _run(*self.inside("sysctl", "-qw", "net.ipv4.ip_forward=1"))
        self._filter_bridged()
        for cidr in (POD_CIDR, SERVICE_CIDR):
            _run("ip", "route", "replace", cidr, "via", NODE_ADDRESS, "dev", self.link)

    def _filter_bridged(self) -> None:
        """Show iptables what pods send each other over their bridge; else no policy sees it."""
        setting = ("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1")
        if _works(*self.inside(*setting)):
            return
        if not (shutil.which("modprobe") and _works("modprobe", "br_netfilter")):
            raise StepError("NetworkPolicies need the kernel's br_netfilter: modprobe br_netfilter")
        _run(*self.inside(*setting))

    def exists(self) -> bool:
        """Whether the namespace or the link is there."""
        listed = self.namespace in _run("ip", "netns", "list").split()
        return listed or _works("ip", "link", "show", self.link)

    def down(self) -> None:
        """Remove both; the routes go with the link."""
        if _works("ip", "link", "show", self.link):
            _run("ip", "link", "delete", self.link)
        if self.namespace in _run("ip", "netns", "list").split():
            _run("ip", "netns", "delete", self.namespace)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _works(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
