"""The Services that devices come in by, as a real API server stores them, edit by edit."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.kit.cluster import KubectlError
from tests.integration.controller.conftest import Eventually, Kube
from tests.integration.controller.test_reconcile import cluster, ready

pytestmark = pytest.mark.integration

_ANNOTATIONS = {"balancer.example/scheme": "public", "balancer.example/idle": "600"}
_SERVICE: dict[str, Any] = {
    "type": "LoadBalancer",
    "annotations": _ANNOTATIONS,
    "loadBalancerClass": "example.com/a",
    "loadBalancerSourceRanges": ["198.51.100.0/24", "203.0.113.0/24"],
    "externalTrafficPolicy": "Local",
}
_LISTENERS = [
    {"name": "mqtt", "port": 1884, "servicePort": 1883, "proxyProtocol": True},
    {"name": "ws", "protocol": "WS", "port": 8080, "servicePort": 80},
]


def exposed(listeners: list[dict[str, Any]] = _LISTENERS, **service: Any) -> dict[str, Any]:
    """A cluster with these listeners; None takes a field of the Service away."""
    fields = {k: v for k, v in {**_SERVICE, **service}.items() if v is not None}
    return cluster(subscribers={"replicas": 1, "listeners": listeners, "service": fields})


def stored(kube: Kube) -> dict[str, Any]:
    return kube.get("service", "demo-subscriber")


def spec(kube: Kube) -> dict[str, Any]:
    found: dict[str, Any] = stored(kube)["spec"]
    return found


def ports(kube: Kube) -> list[tuple[str, int, int]]:
    return [(p["name"], p["port"], p["targetPort"]) for p in spec(kube)["ports"]]


def configuration(kube: Kube) -> str:
    text: str = kube.get("configmap", "demo-subscriber")["data"]["vernemq.conf"]
    return text


def node_ports(kube: Kube) -> list[int | None]:
    return [p.get("nodePort") for p in spec(kube)["ports"]]


def accepted(kube: Kube, eventually: Eventually) -> None:
    """The operator has looked at the newest edit, and Kubernetes refuses nothing of it."""
    generation = kube.get("lcc", "demo")["metadata"]["generation"]

    def said() -> bool:
        condition = ready(kube)
        seen = bool(condition["observedGeneration"] == generation)
        return seen and condition["reason"] != "ReconcileFailed"

    eventually(said)


def test_every_field_is_in_the_service_that_devices_reach(
    kube: Kube, eventually: Eventually
) -> None:
    kube.apply(exposed())
    service = eventually(lambda: stored(kube))
    found = service["spec"]
    assert found["type"] == "LoadBalancer"
    assert found["loadBalancerClass"] == "example.com/a"
    assert found["loadBalancerSourceRanges"] == ["198.51.100.0/24", "203.0.113.0/24"]
    assert found["externalTrafficPolicy"] == "Local"
    assert service["metadata"]["annotations"].items() >= _ANNOTATIONS.items()
    assert ports(kube) == [("mqtt", 1883, 1884), ("ws", 80, 8080)]
    conf = eventually(lambda: configuration(kube))
    assert "listener.tcp.mqtt = 0.0.0.0:1884\n" in conf
    assert "listener.tcp.mqtt.proxy_protocol = on\n" in conf
    assert "listener.tcp.mqtt.proxy_protocol_use_cn_as_username = off\n" in conf
    assert "listener.ws.ws.proxy_protocol" not in conf
    stateful_set = eventually(lambda: kube.get("statefulset", "demo-subscriber"))
    container = stateful_set["spec"]["template"]["spec"]["containers"][0]
    assert {1884, 8080} <= {p["containerPort"] for p in container["ports"]}
    # Nobody comes in from outside by any other Service.
    kinds = "{range .items[*]}{.metadata.name}={.spec.type} {end}"
    types = dict(s.split("=") for s in kube("get", "svc", "-o", f"jsonpath={kinds}").split())
    assert {name for name, kind in types.items() if kind != "ClusterIP"} == {"demo-subscriber"}


def test_every_field_follows_its_edit(kube: Kube, eventually: Eventually) -> None:
    kube.apply(exposed())
    uid = eventually(lambda: stored(kube)["metadata"]["uid"])
    # The cloud's own annotation stays through all of them.
    kube("annotate", "service", "demo-subscriber", "balancer.example/own=kept")

    kube.apply(exposed(annotations={"balancer.example/scheme": "internal"}))
    wanted = {"balancer.example/scheme": "internal", "balancer.example/own": "kept"}

    def annotations() -> dict[str, str]:
        found: dict[str, str] = stored(kube)["metadata"]["annotations"]
        return {key: value for key, value in found.items() if key.startswith("balancer.")}

    eventually(lambda: annotations() == wanted)
    ranges = ["192.0.2.0/25"]
    kube.apply(exposed(annotations={}, loadBalancerSourceRanges=ranges))
    eventually(lambda: spec(kube)["loadBalancerSourceRanges"] == ranges)
    eventually(lambda: annotations() == {"balancer.example/own": "kept"})
    kube.apply(exposed(annotations={}, loadBalancerSourceRanges=None))
    eventually(lambda: "loadBalancerSourceRanges" not in spec(kube))
    assert spec(kube)["healthCheckNodePort"]
    kube.apply(exposed(externalTrafficPolicy=None))
    eventually(lambda: spec(kube)["externalTrafficPolicy"] == "Cluster")
    assert "healthCheckNodePort" not in spec(kube)
    accepted(kube, eventually)
    assert stored(kube)["metadata"]["uid"] == uid


def test_ports_and_proxy_protocol_follow_their_edits(kube: Kube, eventually: Eventually) -> None:
    kube.apply(exposed())
    uid = eventually(lambda: stored(kube)["metadata"]["uid"])
    eventually(lambda: "proxy_protocol = on" in configuration(kube))
    changed = [
        {"name": "mqtt", "port": 1884, "servicePort": 8884, "nodePort": 30884},
        {"name": "more", "port": 1885},
    ]
    kube.apply(exposed(changed))
    eventually(lambda: ports(kube) == [("mqtt", 8884, 1884), ("more", 1885, 1885)])
    assert node_ports(kube)[0] == 30884
    eventually(lambda: "proxy_protocol" not in configuration(kube))
    assert "listener.tcp.more = 0.0.0.0:1885\n" in configuration(kube)
    changed[1]["proxyProtocol"] = True
    kube.apply(exposed(changed[1:]))
    eventually(lambda: ports(kube) == [("more", 1885, 1885)])
    eventually(lambda: "listener.tcp.more.proxy_protocol = on\n" in configuration(kube))
    accepted(kube, eventually)
    assert stored(kube)["metadata"]["uid"] == uid


def test_the_type_follows_its_edit_and_takes_its_fields_along(
    kube: Kube, eventually: Eventually
) -> None:
    only: dict[str, Any] = {"loadBalancerClass": None, "loadBalancerSourceRanges": None}
    kube.apply(exposed())
    uid = eventually(lambda: stored(kube)["metadata"]["uid"])
    kube.apply(exposed(type="NodePort", **only))
    eventually(lambda: spec(kube)["type"] == "NodePort")
    assert "loadBalancerClass" not in spec(kube)
    assert all(node_ports(kube))
    kube.apply(exposed(type="ClusterIP", **only))
    eventually(lambda: spec(kube)["type"] == "ClusterIP")
    assert node_ports(kube) == [None, None]
    assert "externalTrafficPolicy" not in spec(kube)
    # In two edits the class can change, too, and the Service stays the same one.
    kube.apply(exposed(loadBalancerClass="example.com/b"))
    eventually(lambda: spec(kube).get("loadBalancerClass") == "example.com/b")
    assert spec(kube)["loadBalancerSourceRanges"] == _SERVICE["loadBalancerSourceRanges"]
    accepted(kube, eventually)
    assert stored(kube)["metadata"]["uid"] == uid


@pytest.mark.parametrize("other", ["example.com/b", None], ids=["another", "none"])
def test_another_class_is_refused_with_the_way_out(
    kube: Kube, eventually: Eventually, other: str | None
) -> None:
    kube.apply(exposed())
    eventually(lambda: stored(kube))
    with pytest.raises(KubectlError, match=r"loadBalancerClass: .*set type: ClusterIP first"):
        kube.apply(exposed(loadBalancerClass=other))
    assert spec(kube)["loadBalancerClass"] == "example.com/a"


def test_a_class_that_changed_while_nobody_looked_makes_the_service_anew_and_says_so(
    kube: Kube, eventually: Eventually
) -> None:
    kube.apply(exposed())
    uid = eventually(lambda: stored(kube)["metadata"]["uid"])
    # The load balancer's own controller frees its addresses before the Service may go.
    hold = '{"metadata":{"finalizers":["balancer.example/cleanup"]}}'
    kube("patch", "service", "demo-subscriber", "--type=merge", "-p", hold)
    kube("annotate", "lcc", "demo", "liveconnect.io/paused=true")
    kube.apply(exposed(type="ClusterIP", loadBalancerClass=None, loadBalancerSourceRanges=None))
    kube.apply(exposed(loadBalancerClass="example.com/b"))
    assert spec(kube)["loadBalancerClass"] == "example.com/a"
    kube("annotate", "lcc", "demo", "liveconnect.io/paused-")
    eventually(lambda: stored(kube)["metadata"].get("deletionTimestamp"), within=30)
    told = ("get", "events", "-o", 'jsonpath={.items[?(@.reason=="MadeAnew")].message}')
    eventually(lambda: "Service/demo-subscriber: loadBalancerClass cannot change" in kube(*told))
    free = '{"metadata":{"finalizers":null}}'
    kube("patch", "service", "demo-subscriber", "--type=merge", "-p", free)
    eventually(lambda: spec(kube)["loadBalancerClass"] == "example.com/b", within=30)
    assert stored(kube)["metadata"]["uid"] != uid
    accepted(kube, eventually)
