"""The local provider takes away what a crash has left: all kinds of it, without Kubernetes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from e2e.providers.local import cgroups
from e2e.providers.local.network import Network
from e2e.providers.local.provider import LocalProvider
from e2e.providers.paths import state
from e2e.providers.processes import Processes

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and mounts are root's")
_NAME = "crash-test"
#: A chain and a set of addresses, as kube-router makes them.
_LEFT = "KUBE-CRASH-TEST"
_INSTALLED = all(shutil.which(command) for command in ("iptables-legacy", "ipset"))


@pytest.fixture
def crashed() -> Iterator[LocalProvider]:
    """What stays when the one who made it was killed: it has told nobody."""
    network, folder = Network(_NAME), state(_NAME)
    if network.exists():
        pytest.skip("a local cluster runs: there is one at a time")
    (folder / "pods" / "volume").mkdir(parents=True)
    network.up()
    rule = ("-A", "OUTPUT", "-p", "tcp", "--dport", "9", "-j", "RETURN")
    subprocess.run(network.inside("iptables", "-t", "nat", *rule), check=True)
    if _INSTALLED:
        subprocess.run(network.inside("iptables-legacy", "-N", _LEFT), check=True)
        subprocess.run(network.inside("ipset", "create", _LEFT, "hash:ip"), check=True)
    subprocess.run(network.inside("ip", "link", "add", "lc-bridge", "type", "bridge"), check=True)
    mount = ("mount", "-t", "tmpfs", "none", str(folder / "pods" / "volume"))
    subprocess.run(mount, check=True)
    cgroups.make(f"lc-{_NAME}")
    made = Processes(folder)
    made.start("etcd", network.inside("sleep", "600"))
    container = subprocess.Popen(network.inside("sleep", "600"))
    for group in cgroups.groups(f"lc-{_NAME}"):
        (group / "cgroup.procs").write_text(str(container.pid))
    provider = LocalProvider(_NAME)
    yield provider
    provider.delete()
    made.stop_all()
    container.wait(5)


def test_nothing_stays_after_a_crash(crashed: LocalProvider) -> None:
    found = " ".join(crashed.leftovers())
    for kind in ("volume", f"lc-{_NAME}", "/sys/fs/cgroup"):
        assert kind in found
    crashed.delete()
    assert crashed.leftovers() == []
    assert not Network(_NAME).exists()
    crashed.delete()  # nothing to remove is fine


@pytest.mark.skipif(not _INSTALLED, reason="needs make packages")
def test_the_next_cluster_has_no_rule_and_no_set_of_one_that_crashed(
    crashed: LocalProvider,
) -> None:
    crashed.delete()
    network = Network(_NAME)
    network.up()
    for question in (("iptables-legacy-save",), ("ipset", "list", "-n")):
        for asked in (network.inside(*question), question):
            said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
            assert _LEFT not in said
