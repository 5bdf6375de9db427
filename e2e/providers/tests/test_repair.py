"""A cluster that lost a part is whole again after the next `up`, with what was in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from e2e.kit.eventually import eventually
from e2e.providers.local.network import Network
from e2e.providers.local.provider import LocalProvider
from e2e.providers.paths import state
from e2e.providers.processes import Processes

_NAME = "repair-test"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and mounts are root's")


@pytest.fixture
def provider() -> Iterator[LocalProvider]:
    """A cluster of this test's own."""
    network = Network(_NAME)
    # There is one at a time; the scenarios' goes when they are over.
    eventually(lambda: not network.exists(), within=240, what="the other cluster's end")
    made = LocalProvider(_NAME)
    made.create()
    yield made
    made.delete()


def _kill(*names: str) -> None:
    """As the kernel does when memory ends: without a word."""
    notes = (state(_NAME) / "processes").glob("*.json")
    killed = [n for n in notes if n.stem in names or not names]
    for note in killed:
        os.kill(json.loads(note.read_text())["pid"], signal.SIGKILL)
    processes = Processes(state(_NAME))
    eventually(lambda: not any(processes.running(n.stem) for n in killed), within=10)


@pytest.mark.timeout(420)
def test_what_died_runs_again_and_what_was_there_is_kept(provider: LocalProvider) -> None:
    provider.kubectl("create", "configmap", "kept")
    _kill("kube-router", "containerd", "etcd", "kube-apiserver", "kubelet", "kube-proxy", "coredns")
    subprocess.run(["ip", "link", "delete", Network(_NAME).link], check=True)
    LocalProvider(_NAME).create()
    assert provider.kubectl("get", "configmap", "kept", "-o", "name").strip() == "configmap/kept"
    ready = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
    eventually(lambda: provider.kubectl("get", "nodes", "-o", ready) == "True", within=60)


@pytest.mark.timeout(420)
def test_after_a_restart_of_the_machine_it_begins_anew(provider: LocalProvider) -> None:
    provider.kubectl("create", "configmap", "lost")
    _kill()
    LocalProvider(_NAME).create()
    assert "lost" not in provider.kubectl("get", "configmaps", "-o", "name")
