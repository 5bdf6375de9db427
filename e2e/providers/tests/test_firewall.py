"""Where NetworkPolicies are enforced: commands of its own, and nothing of it is left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.providers.local import settings
from e2e.providers.local.firewall import Firewall
from e2e.providers.local.network import Network
from e2e.providers.progress import StepError

root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces are root's")
installed = pytest.mark.skipif(
    not all(shutil.which(c) for c in ("iptables-legacy", "ipset")), reason="needs make packages"
)


@pytest.fixture
def network() -> Iterator[Network]:
    """A namespace without a node in it."""
    made = Network("firewall-test")
    subprocess.run(["ip", "netns", "add", made.namespace], check=True)
    yield made
    subprocess.run(["ip", "netns", "delete", made.namespace], check=True)


def _run(network: Network, made: Firewall, *command: str) -> str:
    environment = {**os.environ, **made.environment()}
    inside = network.inside("env", *command)
    done = subprocess.run(inside, check=True, capture_output=True, text=True, env=environment)
    return done.stdout


@root
@installed
def test_it_enforces_once_the_first_whole_pass_is_written(network: Network, tmp_path: Path) -> None:
    made = Firewall(tmp_path / "firewall")
    assert not made.enforces(network)
    made.prepare()
    assert not made.enforces(network)
    _run(network, made, "iptables", "-N", "KUBE-ROUTER-FORWARD")
    assert not made.enforces(network)
    rule = ("-m", "mark", "--mark", "0x20000/0x20000", "-j", "ACCEPT")
    _run(network, made, "iptables", "-A", "KUBE-ROUTER-FORWARD", *rule)
    assert made.enforces(network)


@root
@installed
def test_its_rules_are_not_in_the_table_of_kube_proxy(network: Network, tmp_path: Path) -> None:
    made = Firewall(tmp_path / "firewall")
    made.prepare()
    made.prepare()  # a cluster that is repaired
    _run(network, made, "iptables", "-N", "KUBE-ROUTER-FORWARD")
    tables = subprocess.run(
        network.inside("iptables-nft-save"), check=True, capture_output=True, text=True
    )
    assert "KUBE-ROUTER-FORWARD" not in tables.stdout
    assert (tmp_path / "firewall" / "lock").exists()


def test_a_command_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StepError, match="iptables-legacy is not installed"):
        Firewall(tmp_path / "firewall").prepare()


def test_nothing_of_it_runs_but_the_firewall(tmp_path: Path) -> None:
    flags = settings.kube_router(tmp_path / "kubeconfig")
    assert "--run-firewall=true" in flags
    for part in ("--run-router", "--run-service-proxy", "--enable-cni"):
        assert f"{part}=false" in flags
