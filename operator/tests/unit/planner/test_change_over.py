"""API and store go over to TLS: first they can, then they are asked so, then only so."""

from __future__ import annotations

import json
from typing import Any

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.adapters.placeholder import make_server_pair
from liveconnect.controller.model.manifest import ObjectKey
from liveconnect.controller.model.observed import Observed, Pool
from liveconnect.controller.planner.certificates import Certificates
from liveconnect.controller.planner.store_tls import lacks_store_pair, with_store
from liveconnect.controller.rendering import RenderInputs, render
from tests.unit.planner.simulation import CREDENTIALS, SETTINGS, World, parse
from tests.unit.planner.test_certificates import NAMES, NOW
from tests.unit.planner.test_hooks_certificate import asked
from tests.unit.planner.test_rollout import change

AUTH = ObjectKey("apps/v1", "Deployment", "ns", "demo-auth")
GATEWAY = ObjectKey("apps/v1", "StatefulSet", "ns", "demo-gateway")
HTTPS, PLAIN = "https://demo-auth.ns.svc:8443", "http://demo-auth.ns.svc:8080"


def config(world: World, name: str) -> dict[str, Any]:
    text = world.children[ObjectKey("v1", "ConfigMap", "ns", name)]["data"]["config.json"]
    made: dict[str, Any] = json.loads(text)
    return made


def asks(world: World) -> str:
    return str(config(world, "demo-gateway")["presence_url"])


def offered(world: World) -> set[int]:
    """Ports of the Service; what the pods answer and whom the policy lets in goes with it."""
    service = world.children[ObjectKey("v1", "Service", "ns", "demo-auth")]
    ports = {port["port"] for port in service["spec"]["ports"]}
    assert config(world, "demo-auth")["plain_api"] == (8080 in ports)
    policy = world.children[ObjectKey("networking.k8s.io/v1", "NetworkPolicy", "ns", "demo-auth")]
    welcome = [
        peer["podSelector"]["matchLabels"].get("app.kubernetes.io/component")
        for rule in policy["spec"]["ingress"]
        if {"port": 8080, "protocol": "TCP"} in rule["ports"]
        for peer in rule["from"]
        if "podSelector" in peer
    ]
    assert ("gateway" in welcome) == (8080 in ports)
    return ports


def steps(world: World, count: int = 6) -> None:
    for _ in range(count):
        world.step()


def rolled_out(world: World, key: ObjectKey, pods: int = 2) -> None:
    """All pods are of the template now."""
    child = world.children[key]
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), pods)
    child["status"] = {"observedGeneration": child["metadata"]["generation"], **counts}


def edited(cluster: Cluster, generation: int) -> Cluster:
    return cluster.model_copy(update={"generation": generation})


def test_what_is_new_begins_with_https() -> None:
    world = World(asked(), late={AUTH, GATEWAY})
    steps(world)
    assert asks(world) == HTTPS
    assert offered(world) == {8081, 8444, 8443}
    assert world.status["endpoints"]["presence"] == HTTPS


def test_without_tls_there_is_one_plain_way() -> None:
    world = World(parse({}))
    world.settle()
    assert asks(world) == PLAIN
    assert config(world, "demo-gateway")["presence_tls"] is None
    assert offered(world) == {8080, 8081}
    assert world.status["endpoints"]["presence"] == PLAIN


def test_no_question_fails_while_it_changes_over() -> None:
    world = World(parse({}))
    world.settle()
    world.late |= {AUTH, GATEWAY}
    world.cluster = edited(asked(), 2)
    steps(world)
    # Nobody answers there yet.
    assert asks(world) == PLAIN
    assert offered(world) == {8080, 8081, 8444, 8443}
    rolled_out(world, AUTH)
    steps(world)
    # Some of its pods ask in the old way.
    assert asks(world) == HTTPS
    assert (
        config(world, "demo-gateway")["presence_tls"]["ca_file"] == "/etc/liveconnect/auth/ca.crt"
    )
    assert offered(world) == {8080, 8081, 8444, 8443}
    rolled_out(world, GATEWAY)
    steps(world)
    assert offered(world) == {8081, 8444, 8443}


def test_it_never_goes_back_for_another_roll() -> None:
    world = World(asked())
    world.settle()
    world.late |= {AUTH, GATEWAY}
    change(world, "broker:2")
    for key in (AUTH, GATEWAY):
        world.children[key]["status"] = {}
    steps(world)
    assert asks(world) == HTTPS
    assert offered(world) == {8081, 8444, 8443}


def test_without_the_field_it_is_plain_again() -> None:
    world = World(asked())
    world.settle()
    world.cluster = edited(parse({}), 2)
    steps(world)
    assert asks(world) == PLAIN
    assert offered(world) == {8080, 8081}


def test_the_gateways_pods_have_the_authorities_and_no_key() -> None:
    world = World(asked())
    world.settle()
    volumes = world.children[GATEWAY]["spec"]["template"]["spec"]["volumes"]
    (volume,) = [v["secret"] for v in volumes if v["name"] == "auth"]
    assert volume["secretName"] == "demo-auth-tls"
    assert volume["items"] == [{"key": "ca.crt", "path": "ca.crt"}]


STORE = ObjectKey("apps/v1", "StatefulSet", "ns", "demo-presence")


def store_url(world: World) -> str:
    """The key of the Secret whose URL the auth service's pods are given."""
    volumes = world.children[AUTH]["spec"]["template"]["spec"]["volumes"]
    (secret,) = [v["secret"] for v in volumes if v["name"] == "presence"]
    kept = world.children[ObjectKey("v1", "Secret", "ns", "demo-presence")]["data"]
    assert secret["items"][0]["key"] in kept
    known = "managed-store-ca" in {v["name"] for v in volumes}
    assert known == (config(world, "demo-auth")["presence"]["store_ca_file"] is not None)
    return str(secret["items"][0]["key"])


def store_ports(world: World) -> list[int]:
    """Ports of the pod; Service, policy and configuration are of the same."""
    (container,) = world.children[STORE]["spec"]["template"]["spec"]["containers"]
    ports = [port["containerPort"] for port in container["ports"]]
    service = world.children[ObjectKey("v1", "Service", "ns", "demo-presence")]
    assert [port["port"] for port in service["spec"]["ports"]] == ports
    name = ObjectKey("networking.k8s.io/v1", "NetworkPolicy", "ns", "demo-presence")
    (rule,) = world.children[name]["spec"]["ingress"]
    assert [port["port"] for port in rule["ports"]] == ports
    made = world.children[ObjectKey("v1", "ConfigMap", "ns", "demo-presence")]["data"]
    text = made["valkey.conf"]
    assert ("port 6379" in text.splitlines(), "tls-port 6380" in text) == (
        6379 in ports,
        6380 in ports,
    )
    assert ("exec" in container["readinessProbe"]) == (6380 in ports)
    return ports


def test_a_new_store_speaks_tls_only() -> None:
    world = World(asked(), late={AUTH, STORE})
    steps(world)
    assert (store_url(world), store_ports(world)) == ("tls-url", [6380])


def test_without_tls_the_store_is_as_ever() -> None:
    world = World(parse({}))
    world.settle()
    assert (store_url(world), store_ports(world)) == ("url", [6379])
    assert ObjectKey("v1", "Secret", "ns", "demo-presence-tls") not in world.children


def test_the_store_is_never_asked_where_it_does_not_answer() -> None:
    world = World(parse({}))
    world.settle()
    world.late |= {AUTH, STORE}
    world.cluster = edited(asked(), 2)
    steps(world)
    assert (store_url(world), store_ports(world)) == ("url", [6379, 6380])
    rolled_out(world, AUTH)
    steps(world)
    assert (store_url(world), store_ports(world)) == ("url", [6379, 6380])
    rolled_out(world, STORE, 1)
    steps(world)
    assert (store_url(world), store_ports(world)) == ("tls-url", [6379, 6380])
    rolled_out(world, AUTH)
    steps(world)
    assert (store_url(world), store_ports(world)) == ("tls-url", [6380])
    # The store starts anew once more; that takes nothing back.
    steps(world)
    assert (store_url(world), store_ports(world)) == ("tls-url", [6380])


def test_the_stores_certificate_is_made_once() -> None:
    pair = make_server_pair("demo-presence.ns.svc", NOW)
    fresh = Observed(store_pair=pair)
    assert lacks_store_pair(asked(), NAMES, fresh)
    assert not lacks_store_pair(parse({}), NAMES, fresh)
    empty = Certificates((), {}, (), {})
    made = with_store(empty, asked(), NAMES, fresh).store
    assert made is not None
    assert made["tls.crt"] + made["tls.key"] == pair
    held = {"demo-presence-tls": {key: value.encode() for key, value in made.items()}}
    later = Observed(secrets=held, store_pair=make_server_pair("demo-presence.ns.svc", NOW))
    assert not lacks_store_pair(asked(), NAMES, later)
    assert with_store(empty, asked(), NAMES, later).store == made
    assert with_store(empty, parse({}), NAMES, later).store is None
    assert "PRIVATE" not in repr(later)


def test_another_certificate_makes_other_pods() -> None:
    def templates(pair: str) -> list[Any]:
        cluster = asked()
        inputs = RenderInputs(
            credentials=CREDENTIALS,
            replicas=dict.fromkeys(Pool, 1),
            store_certificate={"tls.crt": pair, "tls.key": "k"},
        )
        made = {ObjectKey.of(one): one for one in render(cluster, SETTINGS, inputs)}
        return [made[key]["spec"]["template"]["metadata"] for key in (STORE, AUTH)]

    one, other = templates("one\n"), templates("other\n")
    assert one[0] != other[0]
    assert one[1] != other[1]


def test_an_external_store_is_not_ours_to_encrypt() -> None:
    body = asked()
    spec = body.spec.model_dump(exclude_none=True)
    spec["presence"]["store"] = {"external": {"urlSecretRef": {"name": "s", "key": "k"}}}
    external = body.model_copy(update={"spec": type(body.spec).model_validate(spec)})
    assert not lacks_store_pair(external, NAMES, Observed())
    world = World(external)
    world.settle()
    assert config(world, "demo-auth")["presence"]["store_ca_file"] is None
