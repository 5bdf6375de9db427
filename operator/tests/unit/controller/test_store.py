"""What is kept of the children."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from liveconnect.controller.handlers.store import Store
from liveconnect.controller.model.manifest import Manifest, ObjectKey

KEY = ObjectKey("v1", "ConfigMap", "ns", "demo-auth")


def child(**content: object) -> Manifest:
    meta = {
        "name": KEY.name,
        "namespace": KEY.namespace,
        "uid": "u",
        "resourceVersion": "1",
        "labels": {"liveconnect.io/cluster": "demo"},
        "managedFields": [{"manager": "somebody"}],
    }
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, **content}


@given(st.dictionaries(st.text(), st.text()))
def test_a_body_comes_back_as_it_was_but_for_whose_fields_they_are(data: dict[str, str]) -> None:
    store = Store()
    body = child(data=data)
    assert store.put(body, gone=False) == ("ns", "demo")
    [(key, kept)] = store.objects("ns", "demo").items()
    expected = {k: v for k, v in body["metadata"].items() if k != "managedFields"}
    assert key == KEY
    assert kept == {**body, "metadata": expected}
    assert "managedFields" in body["metadata"]


def test_a_newer_version_has_another_mark_and_a_gone_one_none() -> None:
    store = Store()
    store.put(child(), gone=False)
    before = store.marks("ns", "demo")
    newer = child()
    newer["metadata"]["resourceVersion"] = "2"
    store.put(newer, gone=False)
    assert store.marks("ns", "demo") != before
    store.put(newer, gone=True)
    assert not store.marks("ns", "demo")
    assert not store.objects("ns", "demo")


def test_strangers_are_not_kept() -> None:
    store = Store()
    stranger = child()
    stranger["metadata"]["labels"] = {}
    assert store.put(stranger, gone=False) is None


def broker(node: str, component: str = "subscriber", name: str = "demo-subscriber-0") -> Manifest:
    labels = {"liveconnect.io/cluster": "demo", "app.kubernetes.io/component": component}
    meta = {"name": name, "namespace": "ns", "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"nodeName": node}}


def test_it_knows_which_clusters_have_a_broker_on_a_kubernetes_node() -> None:
    store = Store()
    store.put(broker("a"), gone=False)
    store.put(broker("b", "gateway", "demo-gateway-0"), gone=False)
    assert store.owners_on("a") == {("ns", "demo")}
    assert store.owners_on("b") == set()
    store.put(broker("a"), gone=True)
    assert store.owners_on("a") == set()
