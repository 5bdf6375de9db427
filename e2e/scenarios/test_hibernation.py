"""A cluster sleeps and wakes: sessions and messages are there again, and no phone is refused."""

from __future__ import annotations

import http.client
import threading
import uuid
from collections.abc import Iterator

import pytest

from e2e.kit.cluster import Cluster, Manifest, condition
from e2e.kit.crowd import Crowd
from e2e.kit.eventually import NotInTimeError, eventually
from e2e.kit.issuer import Issuer
from e2e.kit.loadbalancer import door
from e2e.kit.microservice import Microservice
from e2e.kit.phone import Address, Phone
from e2e.kit.ready import wait_ready
from e2e.kit.samples import KIND

pytestmark = pytest.mark.e2e
_PHONES = 40
_EACH = 5


class Knocking:
    """A phone that tries again and again, and what it was told."""

    def __init__(self, issuer: Issuer, address: Address) -> None:
        name = f"knocks-{uuid.uuid4().hex[:5]}"
        self._phone = Phone(name, issuer.token(name, "4711"))
        self._address = address
        self._over = threading.Event()
        self.codes: list[int] = []
        self.unanswered = 0
        self._thread = threading.Thread(target=self._knock, daemon=True)
        self._thread.start()

    def _knock(self) -> None:
        while not self._over.wait(0.1):
            try:
                self.codes.append(self._phone.connect(self._address, within=5))
            except (OSError, NotInTimeError, AssertionError):
                self.unanswered += 1

    def end(self) -> None:
        """Let it be."""
        self._over.set()
        self._thread.join(20)
        self._phone.disconnect()


class Publishing:
    """A microservice that publishes on, and what the gateway accepted (QoS 1)."""

    def __init__(self, service: Microservice, customer: str) -> None:
        self._service = service
        self._customer = customer
        self._over = threading.Event()
        self.accepted: list[str] = []
        self._thread = threading.Thread(target=self._publish, daemon=True)
        self._thread.start()

    def _publish(self) -> None:
        number = 0
        while not self._over.wait(0.01):
            number += 1
            payload = f"{self._customer}:{number}"
            try:
                answer = self._service.publish(f"orders/{self._customer}/1/status", payload)
            except (OSError, http.client.HTTPException, AssertionError):
                continue
            if answer.status < 300:
                self.accepted.append(payload)

    def end(self) -> None:
        """Let it be."""
        self._over.set()
        self._thread.join(30)


def _pods(cluster: Cluster, name: str) -> set[str]:
    found = cluster.items("pods", selector=f"app.kubernetes.io/instance={name}")
    return {pod["metadata"]["name"] for pod in found}


def _claims(cluster: Cluster, name: str) -> dict[str, str]:
    found = cluster.items("pvc", selector=f"app.kubernetes.io/instance={name}")
    return {claim["metadata"]["name"]: claim["metadata"]["uid"] for claim in found}


def _addresses(cluster: Cluster, name: str) -> dict[str, str]:
    found = cluster.items("pods", selector=f"liveconnect.io/cluster={name},liveconnect.io/broker")
    return {pod["metadata"]["name"]: pod["status"].get("podIP", "") for pod in found}


def _asleep(cluster: Cluster, name: str) -> bool:
    said = condition(cluster.existing(KIND, name), "Hibernated")
    assert said["status"] == "True", said["message"]
    return True


@pytest.fixture
def address(cluster: Cluster, quickstart: Manifest) -> Iterator[Address]:
    with door(cluster, "default", f"{quickstart['metadata']['name']}-subscriber") as found:
        yield found


def test_stored_sessions_and_messages_outlast_a_sleep(
    cluster: Cluster,
    issuer: Issuer,
    quickstart: Manifest,
    orders: Microservice,
    address: Address,
) -> None:
    name = quickstart["metadata"]["name"]
    wait_ready(cluster, name, within=120)
    crowd = Crowd(f"sleeps-{uuid.uuid4().hex[:5]}", _PHONES, issuer)
    crowd.connect([address])
    crowd.leave()
    crowd.send(orders, _EACH)
    customer = f"late-{uuid.uuid4().hex[:5]}"
    late = Phone(customer, issuer.token(customer, customer), persistent=True)
    assert late.connect(address) == 0
    assert late.subscribe(f"orders/{customer}/+/status", qos=1) == 1
    claims, before = _claims(cluster, name), _addresses(cluster, name)
    knocking, publishing = Knocking(issuer, address), Publishing(orders, customer)
    try:
        eventually(lambda: len(publishing.accepted) > 20 and knocking.codes, within=30)
        cluster.patch(KIND, name, {"spec": {"hibernate": True}})
        eventually(lambda: _asleep(cluster, name), within=150, every=1, what="it sleeps")
        publishing.end()
        eventually(lambda: not _pods(cluster, name), within=60, every=1, what="no pod is left")
        assert _claims(cluster, name) == claims
        assert not late.connected()
        ready = condition(cluster.existing(KIND, name), "Ready")
        assert (ready["status"], ready["reason"]) == ("False", "Hibernated")
        answered = len(knocking.codes)
        cluster.patch(KIND, name, {"spec": {"hibernate": False}})
        wait_ready(cluster, name, within=240)
        eventually(lambda: len(knocking.codes) > answered, within=30, what="phones come in again")
    finally:
        publishing.end()
        knocking.end()
    assert set(knocking.codes) == {0}, "who could not come in was told nothing but a closed port"
    assert knocking.unanswered > 0
    assert _claims(cluster, name) == claims
    after = _addresses(cluster, name)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values()), "all addresses are new"
    nodes = cluster.existing(KIND, name)["status"]["nodes"]
    assert {n["members"] for n in nodes} == {len(before)}
    crowd.connect([address])
    delivery = crowd.delivery(within=60)
    crowd.leave()
    assert (delivery.accepted, delivery.lost) == (_PHONES * _EACH, 0)
    assert late.connect(address) == 0
    assert late.session_present
    eventually(
        lambda: set(publishing.accepted) <= {m.payload for m in late.messages},
        within=60,
        what="everything that the gateway accepted until it slept",
    )
    late.disconnect()
    joined = [e for e in cluster.items("events") if e["reason"] == "Awake"]
    assert joined, "an event says that it is awake"
