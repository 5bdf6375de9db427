"""Rolls on a control plane whose StatefulSet controller makes the pods anew.

It makes a pod of the template that it knows at that moment: an operator that deletes one while an
edit is on its way gets it back with the old one, and restarts the node twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from e2e.providers.control_plane import ControlPlaneProvider
from tests.integration.controller.conftest import Eventually, Kube, Operator
from tests.integration.controller.nodes import Nodes
from tests.integration.controller.test_reconcile import ready
from tests.integration.controller.test_rotation import pods
from tests.integration.controller.test_storage import with_storage
from tests.integration.controller.volumes import Driver

pytestmark = pytest.mark.integration

_NODES = {"demo-publisher-0", "demo-subscriber-0", "demo-subscriber-1"}


@pytest.fixture
def kube(answering_plane: ControlPlaneProvider, eventually: Eventually) -> Iterator[Kube]:
    """A namespace of the test's own."""
    kube = Kube(answering_plane, f"rolls-{uuid4().hex[:8]}")
    kube.plane.kubectl("create", "namespace", kube.namespace)
    eventually(lambda: kube("get", "lcc") is not None)  # the CRD is served
    yield kube
    # Their addresses go to the next test's pods.
    kube.plane.kubectl("delete", "namespace", kube.namespace, "--timeout=60s")


@pytest.fixture
def nodes(kube: Kube) -> Iterator[Nodes]:
    """The broker nodes of the namespace."""
    nodes = Nodes(kube)
    nodes.start()
    yield nodes
    nodes.stop()


@pytest.fixture
def operator(kube: Kube, nodes: Nodes, tmp_path: Path) -> Iterator[Operator]:
    """An operator for the namespace."""
    operator = Operator(kube.plane, tmp_path / "log", namespaces=kube.namespace)
    operator.start()
    yield operator
    operator.kill()
    print(operator.log.read_text()[-6000:])


Spec = Callable[..., dict[str, Any]]


@pytest.fixture
def spec(kube: Kube, eventually: Eventually, operator: Operator) -> Spec:
    """The manifest of an object that is ready, with some image and memory."""
    kube("create", "secret", "generic", "store", "--from-literal=url=redis://store:6379/0")
    driver = Driver(kube, expandable=True)

    def manifest(image: str, memory: str = "") -> dict[str, Any]:
        body = with_storage(driver)
        body["spec"]["broker"] = {"image": image}
        if memory:
            for pool in ("publishers", "subscribers"):
                body["spec"][pool]["resources"] = {"limits": {"memory": memory}}
        return body

    kube.apply(manifest("broker:1"))
    eventually(lambda: len(driver.claims()) == 4 and driver.provide(), within=40)
    eventually(lambda: ready(kube)["status"] == "True", within=40)
    return manifest


def restarts(nodes: Nodes) -> dict[str, int]:
    """How many pods each node has had after its first: the operator asks every one of them."""
    return {name: len(uids) - 1 for name, uids in nodes.lives.items()}


def rolled(kube: Kube, image: str) -> bool:
    """Whether all nodes run it, nothing is under way, and the object says so."""
    path = "{range .items[*]}{.spec.containers[0].image} {end}"
    listed = kube("get", "pods", "-l", "liveconnect.io/broker=true", "-o", f"jsonpath={path}")
    said = ready(kube)
    seen = said["observedGeneration"] == kube.get("lcc", "demo")["metadata"]["generation"]
    return listed.split() == [image] * len(_NODES) and seen and said["status"] == "True"


def test_two_quick_edits_restart_every_node_once(
    kube: Kube, eventually: Eventually, spec: Spec, nodes: Nodes
) -> None:
    old = pods(kube)
    kube.apply(spec("broker:2"))
    # The first one has reached the StatefulSet: its roll is about to begin.
    eventually(lambda: image_of(kube) == "broker:2")
    kube.apply(spec("broker:2", memory="512Mi"))
    eventually(lambda: rolled(kube, "broker:2"), within=90)
    assert restarts(nodes) == dict.fromkeys(_NODES, 1)
    assert not set(old.values()) & set(pods(kube).values())
    limits = kube.get("pod", "demo-publisher-0")["spec"]["containers"][0]["resources"]["limits"]
    assert limits["memory"] == "512Mi"


def image_of(kube: Kube) -> str:
    """The image of the subscribers' template."""
    path = "jsonpath={.spec.template.spec.containers[0].image}"
    return kube("get", "sts", "demo-subscriber", "-o", path)


def test_edits_while_a_node_is_drained_restart_it_once(
    kube: Kube, eventually: Eventually, spec: Spec, nodes: Nodes
) -> None:
    last = "demo-subscriber-1"
    nodes.clients = {last: 40}
    kube.apply(spec("broker:2"))
    note = ("get", "sts", "demo-subscriber", "-o", "jsonpath={.metadata.annotations}")
    eventually(lambda: f'"liveconnect.io/restarting":"{last}/' in kube(*note), within=60)
    kube.apply(spec("broker:3"))
    eventually(lambda: image_of(kube) == "broker:3")
    # Its last client goes now, and the operator sees it: the node could restart at once.
    nodes.clients = {}
    passes = nodes.asked[last]
    eventually(lambda: nodes.asked[last] >= passes + 2)
    kube.apply(spec("broker:3", memory="512Mi"))
    eventually(lambda: rolled(kube, "broker:3"), within=120)
    assert restarts(nodes) == {**dict.fromkeys(_NODES, 1), "demo-publisher-0": 2}


def test_an_edit_in_the_middle_restarts_only_what_had_restarted_before_it_again(
    kube: Kube, eventually: Eventually, spec: Spec, nodes: Nodes
) -> None:
    old = pods(kube)
    kube.apply(spec("broker:2"))
    kube.apply(spec("broker:2", memory="512Mi"))
    eventually(lambda: (now := pods(kube)) and set(now) == _NODES and now != old, within=60)
    first = {name for name, uid in pods(kube).items() if uid != old[name]}
    assert first == {"demo-publisher-0"}
    kube.apply(spec("broker:3", memory="512Mi"))
    eventually(lambda: rolled(kube, "broker:3"), within=90)
    assert restarts(nodes) == {**dict.fromkeys(_NODES, 1), "demo-publisher-0": 2}
