"""Gateway, two broker nodes with the auth service as hooks, devices: all on a request's way."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from tests.contract.broker.node import Node
from tests.integration.gateway.device import Device, echo, echo_3_1_1
from tests.integration.gateway.world import OWN, Gateway, running_gateway, write_config, write_token
from tests.integration.webhook import world as webhook
from tests.integration.webhook.conftest import make_world
from tests.integration.webhook.world import BACKEND, READER, World, eventually

POD = "demo-gateway-0"
BACKENDS, DEVICES = "127.0.78.1", "127.0.78.2"
TOPICS = [
    {"filter": "clients/{clientId}/requests/#", "allow": ["subscribe"]},
    {"filter": "clients/{clientId}/inbox", "allow": ["subscribe"]},
]


@pytest.fixture(scope="module")
def auth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from make_world(
        tmp_path_factory.mktemp("auth"),
        topics=TOPICS,
        publishers=[{"subject": one, "publish": ["#"]} for one in (OWN, BACKEND)],
        readers=[OWN, READER],
        replies={"gateway": OWN},
    )


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory, auth: World) -> Iterator[tuple[Node, Node]]:
    """A node of each pool, joined; they ask the auth service."""
    nodes = []
    for address, pool in ((BACKENDS, "publisher"), (DEVICES, "subscriber")):

        def endpoint(hook: str, pool: str = pool) -> str:
            purpose = "auth" if hook.startswith("auth_") else "presence"
            return f"{auth.service.url}/hooks/{purpose}/{pool}/demo-{pool}-0"

        folder = tmp_path_factory.mktemp(pool)
        nodes.append(Node(address, folder, "", endpoint=endpoint))
    first, second = nodes
    with contextlib.ExitStack() as stack:
        for node in nodes:
            node.start()
            stack.callback(node.stop)
        second.api(f"cluster/join?discovery-node={first.name}")
        eventually(lambda: len(first.members()) == len(second.members()) == 2)
        yield first, second


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, auth: World, brokers: tuple[Node, Node]
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    bounds = {"broker_host": brokers[0].address}
    config = write_config(folder, auth.jwks, 1883, auth.cluster, auth.service.url, bounds)
    bound = {"namespace": "shop", "pod": {"name": POD, "uid": "u"}}
    write_token(folder, auth.cluster, **{"kubernetes.io": bound})
    with running_gateway(folder, config, pod=POD) as made:
        eventually(made.hearing, within=20)
        yield made


def call(gateway: Gateway, auth: World, path: str, body: Any) -> webhook.Answer:
    return gateway.send(path, json.dumps(body).encode(), auth.backend(), "application/json")


@pytest.mark.parametrize(
    ("version", "react"),
    [(MQTTProtocolVersion.MQTTv5, echo), (MQTTProtocolVersion.MQTTv311, echo_3_1_1)],
)
def test_answer_comes_back_over_two_pools(
    gateway: Gateway, auth: World, version: MQTTProtocolVersion, react: Any
) -> None:
    name = f"phone-{version.value}"
    device = Device(
        1883, name, react, version, host=DEVICES, token=auth.device(name, groups=["drivers"])
    )
    for number in range(3):
        body = {"payload": f"{number}", "timeoutSeconds": 5, "delivery": "online-only"}
        eventually(lambda: client(auth, name) == "online")
        answer = call(gateway, auth, f"/v1/clients/{name}/requests", body)
        assert (answer.status, answer.json["answer"]) == (200, {"payload": f"{number}"}), answer
    asked = device.requests.get(timeout=5)
    if version is MQTTProtocolVersion.MQTTv5:
        assert asked.properties.ResponseTopic == asked.topic.replace("requests", "replies")
    report = call(
        gateway, auth, "/v1/fanout",
        {"members": {"group": "drivers"}, "message": {"payload": "hello"}},
    )  # fmt: skip
    told = {line.get("clientId"): line for line in map(json.loads, report.body.splitlines())}
    assert (told[name]["presence"], told[name]["result"]) == ("online", "acknowledged")
    device.stop()


def client(auth: World, name: str) -> str:
    answer = auth.service.client(name, auth.backend(READER))
    return str(answer.json["state"]) if answer.status == 200 else ""


def test_nobody_answers_for_another(gateway: Gateway, auth: World) -> None:
    """The broker refuses it; the device that was asked may still answer."""

    def forge(device: Device, request: Any) -> None:
        topic = request.topic.replace("/requests/", "/replies/")
        other.client.publish(topic, b"forged", 1).wait_for_publish(5)
        device.answer(request, b"mine")

    other = Device(1883, "other", echo, host=DEVICES, token=auth.device("other"))
    device = Device(1883, "honest", forge, host=DEVICES, token=auth.device("honest"))
    answer = call(gateway, auth, "/v1/clients/honest/requests", {"payload": "?"})
    assert (answer.status, answer.json["answer"]) == (200, {"payload": "mine"}), answer
    device.stop()
    other.stop()
