"""Volumes of nodes that left, in real pods: kept, and never in the next node's way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.kit import samples
from e2e.kit.cluster import Cluster, Manifest
from e2e.kit.eventually import eventually
from e2e.kit.issuer import Issuer
from e2e.kit.ready import wait_ready

pytestmark = pytest.mark.e2e

_NAME, _NAMESPACE = "kept", "e2e-kept"
_POD = f"{_NAME}-subscriber-1"
_CLAIM = f"data-{_POD}"


def _body(replicas: int) -> Manifest:
    storage = {"retention": {"whenScaled": "Retain"}}
    return samples.tiny(_NAME, _NAMESPACE, subscribers={"replicas": replicas, "storage": storage})


@pytest.fixture
def kept(cluster: Cluster, issuer: Issuer) -> Iterator[None]:
    """An object of two subscribers whose volumes are kept."""
    cluster.ensure_namespace(_NAMESPACE)
    cluster.apply(samples.key_set(_NAME, _NAMESPACE, issuer), _body(2), namespace=_NAMESPACE)
    wait_ready(cluster, _NAME, _NAMESPACE, within=200)
    yield
    cluster.delete(samples.KIND, _NAME, _NAMESPACE)
    cluster.delete("namespace", _NAMESPACE)


def _marks(cluster: Cluster) -> dict[str, str]:
    claim = cluster.existing("pvc", _CLAIM, _NAMESPACE)
    marks: dict[str, str] = claim["metadata"].get("annotations") or {}
    return marks


@pytest.mark.usefixtures("kept")
def test_a_node_begins_anew_on_the_volume_of_one_that_left(cluster: Cluster) -> None:
    uid = cluster.existing("pvc", _CLAIM, _NAMESPACE)["metadata"]["uid"]
    cluster.apply(_body(1), namespace=_NAMESPACE)
    eventually(
        lambda: "liveconnect.io/retired" in _marks(cluster), within=150, what="a retired volume"
    )
    assert cluster.get("pod", _POD, _NAMESPACE) is None
    cluster.apply(_body(2), namespace=_NAMESPACE)
    wait_ready(cluster, _NAME, _NAMESPACE, within=150)
    assert cluster.existing("pvc", _CLAIM, _NAMESPACE)["metadata"]["uid"] == uid
    life = _marks(cluster)["liveconnect.io/life"]
    assert cluster.file(_POD, "/vernemq/data/.life", _NAMESPACE) == life
    shown = cluster.kubectl(
        "exec", _POD, "-n", _NAMESPACE, "--", "ls", f"/vernemq/data/.earlier/before-{life}"
    )
    assert shown.split(), "the earlier node's state is still there"
    eventually(
        lambda: "liveconnect.io/retired" not in _marks(cluster), within=30, what="the mark off"
    )
