"""Where the node's NetworkPolicies are enforced: rules of kube-router in iptables' legacy tables.

kube-proxy's rules are in those of nftables (what Debian's `iptables` writes), and a packet has to
pass both. In one table they would harm each other: kube-router reads the table and writes the whole
of it back, so that what kube-proxy changed between the two would be lost until it looks again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from e2e.providers.local.network import Network
from e2e.providers.progress import StepError

_COMMANDS = {
    "iptables": "iptables-legacy",
    "iptables-save": "iptables-legacy-save",
    "iptables-restore": "iptables-legacy-restore",
}
#: The mark of what passed all policies: the first whole pass of kube-router accepts it.
_ACCEPTED = "--mark 0x20000/0x20000 -j ACCEPT"


class Firewall:
    """The commands that kube-router changes rules with."""

    def __init__(self, folder: Path) -> None:
        """Describe them; `folder` is theirs alone."""
        self._folder = folder

    def prepare(self) -> None:
        """Give the legacy commands the names that kube-router looks for.

        Raises:
            StepError: one of them is not installed.
        """
        self._folder.mkdir(exist_ok=True)
        for name, legacy in _COMMANDS.items():
            found = shutil.which(legacy)
            if found is None:
                raise StepError(f"{legacy} is not installed: NetworkPolicies are enforced with it")
            (self._folder / name).unlink(missing_ok=True)
            (self._folder / name).symlink_to(found)

    def environment(self) -> dict[str, str]:
        """What kube-router runs with: these commands, and a lock file that is not the host's."""
        return {
            "PATH": f"{self._folder}:{os.environ['PATH']}",
            "XTABLES_LOCKFILE": str(self._folder / "lock"),
            # It caches the cluster's objects and has little to do: memory is dearer here.
            "GOGC": "100",
        }

    def enforces(self, network: Network) -> bool:
        """Whether kube-router has written rules for all pods and policies once."""
        save = str(self._folder / "iptables-save")
        done = subprocess.run(
            network.inside(save, "-t", "filter"), check=False, capture_output=True, text=True
        )
        return _ACCEPTED in done.stdout
