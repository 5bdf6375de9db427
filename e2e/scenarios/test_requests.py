"""A backend asks a device, over two pools of two nodes and two gateways."""

from __future__ import annotations

import http.client
import json
import uuid
from collections.abc import Iterator
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from e2e.kit import samples
from e2e.kit.cluster import Cluster
from e2e.kit.eventually import eventually
from e2e.kit.issuer import Issuer
from e2e.kit.microservice import AUDIENCE
from e2e.kit.phone import Phone, Version
from e2e.kit.portforward import PortForward
from e2e.kit.ready import wait_ready

pytestmark = pytest.mark.e2e

NAME = "asking"
SUPPORT = "support"


class AnsweringPhone(Phone):
    """Answers each request with what it was asked and who it is."""

    def _on_message(self, client: mqtt.Client, userdata: Any, message: mqtt.MQTTMessage) -> None:
        super()._on_message(client, userdata, message)
        topic, properties = message.topic.replace("/requests/", "/replies/"), None
        if self.version is Version.V5:
            asked: Any = message.properties
            assert asked.ResponseTopic == topic
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho
            properties.CorrelationData = asked.CorrelationData
        answer = f"{bytes(message.payload).decode()} of {self.client_id}"
        client.publish(topic, answer, 1, properties=properties)


class OddPhone(Phone):
    """Can publish what the gateway cannot read, though MQTT allows it."""

    def publish_oddly(self, topic: str) -> None:
        """Publish with a user property that paho refuses to read."""
        assert self._client is not None
        properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho
        properties.UserProperty = ("odd", "\ufeff")
        self._client.publish(topic, "?", 1, properties=properties).wait_for_publish(10)


class Support:
    """The backend, at one of the gateway's pods."""

    def __init__(self, cluster: Cluster, pod: int) -> None:
        self._way = PortForward(cluster, NAME, f"pod/{NAME}-gateway-{pod}", 8080)
        self._token = cluster.token(NAME, SUPPORT, AUDIENCE)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and body of an answer; of a stream its lines."""
        address = self._way.address
        connection = http.client.HTTPConnection(address.host, address.port, timeout=60)
        sent = {"Authorization": f"Bearer {self._token}", **headers}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if "ndjson" in answer.getheader("Content-Type", ""):
            return answer.status, [json.loads(line) for line in text.splitlines()]
        return answer.status, json.loads(text)

    def ask(self, client_id: str, payload: str, **more: Any) -> tuple[int, Any]:
        """Ask a device; `headers` besides the fields of the request."""
        headers = more.pop("headers", {})
        path = f"/v1/clients/{client_id}/requests"
        return self.call("POST", path, {"payload": payload, **more}, **headers)

    def close(self) -> None:
        """End its way into the cluster."""
        self._way.close()


@pytest.fixture(scope="module")
def asking(cluster: Cluster, issuer: Issuer) -> Iterator[list[Support]]:
    """The backend at both pods of the gateway of a cluster of its own."""
    cluster.ensure_namespace(NAME)
    body = samples.tiny(NAME, NAME, publishers={"replicas": 2}, subscribers={"replicas": 2})
    body["spec"]["auth"]["topics"] = [
        {"filter": "clients/{clientId}/requests/#", "allow": ["subscribe"]},
        {"filter": "clients/{clientId}/inbox", "allow": ["subscribe"]},
    ]
    account = {"namespace": NAME, "name": SUPPORT}
    publish = ["clients/+/requests/#", "clients/+/inbox"]
    body["spec"]["gateway"] = {
        "replicas": 2,
        "requests": {},
        "callers": [{"serviceAccount": account, "publish": publish}],
    }
    cluster.apply(
        samples.service_account(NAME, SUPPORT), samples.key_set(NAME, NAME, issuer), body,
        namespace=NAME,
    )  # fmt: skip
    wait_ready(cluster, NAME, NAME, within=300)
    support = [Support(cluster, pod) for pod in range(2)]
    yield support
    for one in support:
        one.close()
    cluster.delete(samples.KIND, NAME, NAME)
    cluster.delete("namespace", NAME)


def test_both_pods_ask_devices_on_both_nodes(
    cluster: Cluster, issuer: Issuer, asking: list[Support]
) -> None:
    for node in range(2):
        for version in Version:
            client_id = f"phone-{node}-{version.value}-{uuid.uuid4().hex[:6]}"
            claims = {"groups": ["drivers"]} if node else {}
            token = issuer.token(client_id, "4711", **claims)
            phone = AnsweringPhone(client_id, token, version=version)
            with PortForward(cluster, NAME, f"pod/{NAME}-subscriber-{node}", 1883) as way:
                check_node(phone, way, asking)
                phone.disconnect()


def check_node(phone: AnsweringPhone, way: PortForward, asking: list[Support]) -> None:
    """Ask a device on a node through both pods."""
    assert phone.connect(way.address) == 0
    assert phone.subscribe(f"clients/{phone.client_id}/requests/+/+", 1) == 1
    for pod, support in enumerate(asking):

        def answered(support: Support = support, pod: int = pod) -> bool:
            status, answer = support.ask(phone.client_id, f"battery {pod}")
            assert status in {200, 503}, answer  # 503 until answers can be received
            return status == 200 and answer["answer"] == {
                "payload": f"battery {pod} of {phone.client_id}"
            }

        eventually(answered, within=30)
        status, asked = support.ask(phone.client_id, "log", headers={"Prefer": "respond-async"})
        assert status in {200, 202}, asked
        for other in asking:
            url = f"/v1/requests/{asked['id']}"

            def known(at: Support = other, url: str = url) -> bool:
                found: str = at.call("GET", url)[1]["status"]
                return found == "answered"

            eventually(known, within=10)
    report = asking[0].call(
        "POST", "/v1/fanout",
        {"members": {"prefix": phone.client_id}, "message": {"payload": "hello"}},
    )  # fmt: skip
    assert report[0] == 200
    told, summary = report[1]
    assert (told["presence"], told["result"], summary["published"]) == ("online", "acknowledged", 1)
    if "phone-1" in phone.client_id:
        members = {"members": {"group": "drivers"}, "message": {"payload": "hello"}}
        found = asking[1].call("POST", "/v1/fanout", members)[1]
        assert phone.client_id in {line.get("clientId") for line in found}


def test_device_that_is_away_is_told_of(asking: list[Support]) -> None:
    status, answer = asking[0].ask("never-seen", "?", timeoutSeconds=1)
    assert status == 504
    assert (answer["acknowledged"], answer["presence"]["state"]) == (True, "unknown")
    status, _ = asking[0].ask("never-seen", "?", delivery="online-only")
    assert status == 409


def test_answer_that_comes_while_the_pod_is_away(
    cluster: Cluster, issuer: Issuer, asking: list[Support]
) -> None:
    """The pod that asked is killed; whoever got 202 finds the answer afterwards, at both pods.

    What cannot be read comes before it, and holds nothing up.
    """
    client_id = f"slow-{uuid.uuid4().hex[:6]}"
    phone = OddPhone(client_id, issuer.token(client_id, "4711"))
    later = {"Prefer": "respond-async"}
    with PortForward(cluster, NAME, f"pod/{NAME}-subscriber-1", 1883) as way:
        assert phone.connect(way.address) == 0
        assert phone.subscribe(f"clients/{client_id}/requests/+/+", 1) == 1

        def asked() -> Any:
            status, answer = asking[0].ask(client_id, "log", timeoutSeconds=600, headers=later)
            assert status in {202, 503}, answer  # 503 until answers can be received
            return answer if status == 202 else None

        url = f"/v1/requests/{eventually(asked, within=30)['id']}"
        (request,) = eventually(lambda: phone.messages, within=10)
        cluster.delete("pod", f"{NAME}-gateway-0", NAME, ["--grace-period=0", "--force"])
        eventually(lambda: asking[1].call("GET", url)[0] == 503, within=30, every=0.05)
        topic = request.topic.replace("/requests/", "/replies/")
        phone.publish_oddly(topic)
        phone.publish(topic, "a long log")
        phone.disconnect()
    for at in reversed(asking):

        def answered(at: Support = at) -> Any:
            status, found = at.call("GET", url)
            assert status in {200, 503}, found
            return found if found["status"] == "answered" else None

        found = eventually(answered, within=90)
        assert (found["answer"], found["acknowledged"]) == ({"payload": "a long log"}, True)
