"""Presence where it is easily wrong."""

from __future__ import annotations

import json
import uuid

import pytest

from e2e.kit.cluster import Cluster, Manifest
from e2e.kit.eventually import always, eventually
from e2e.kit.issuer import Issuer
from e2e.kit.microservice import AUDIENCE, Microservice
from e2e.kit.phone import Phone, Version
from e2e.kit.portforward import PortForward
from e2e.kit.samples import service_account

pytestmark = pytest.mark.e2e


def _record(service: Microservice, client_id: str) -> dict[str, str]:
    answer = service.presence(client_id)
    assert answer.status == 200, answer
    record: dict[str, str] = answer.body
    return record


@pytest.mark.parametrize("version", list(Version), ids=lambda v: f"mqtt-{v.value}")
def test_takeover_by_another_node_leaves_the_client_online(
    cluster: Cluster,
    issuer: Issuer,
    quickstart: Manifest,
    orders: Microservice,
    version: Version,
) -> None:
    name = quickstart["metadata"]["name"]
    client_id = f"mover-{uuid.uuid4().hex[:6]}"
    token = issuer.token(client_id, "4711")
    old = Phone(client_id, token, version=version)
    new = Phone(client_id, token, version=version)
    first, second = f"{name}-subscriber-0", f"{name}-subscriber-1"
    with (
        PortForward(cluster, "default", f"pod/{first}", 1883) as there,
        PortForward(cluster, "default", f"pod/{second}", 1883) as here,
    ):
        assert old.connect(there.address) == 0
        eventually(lambda: _record(orders, client_id)["node"] == first, within=5)
        assert new.connect(here.address) == 0
        eventually(lambda: _record(orders, client_id)["node"] == second, within=5)
        eventually(lambda: not old.connected(), within=10, what="the old connection's end")

        # The old node's `gone` comes after the new node's `register`.
        def online() -> bool:
            record = _record(orders, client_id)
            return record["state"] == "online" and record["node"] == second

        always(online, during=3, what="online on the node that took over")
        assert new.connected()
        new.disconnect()
        eventually(lambda: _record(orders, client_id)["state"] == "offline", within=5)
    old.disconnect()


def test_unknown_client_is_a_404_problem(orders: Microservice) -> None:
    answer = orders.presence(f"never-seen-{uuid.uuid4().hex}")
    assert (answer.status, answer.content_type) == (404, "application/problem+json")


def test_only_readers_may_read(cluster: Cluster, orders: Microservice) -> None:
    cluster.apply(service_account("default", "curious"))
    curious = cluster.token("default", "curious", AUDIENCE)
    assert orders.presence("anyone", token=curious).status == 403
    assert orders.presence("anyone", token="not-a-token").status == 401


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("{", "JSON"),
        ('{"topic": "orders/#", "payload": "x"}', "topic"),
        ('{"topic": "orders/1", "payload": "x", "qos": 3}', "qos"),
        ('{"topic": "orders/1"}', "payload"),
        ('{"topic": "orders/1", "payload": "x", "when": "now"}', "when"),
    ],
)
def test_malformed_posts_are_problems_that_name_the_field(
    orders: Microservice, body: str, word: str
) -> None:
    answer = orders.post(body, orders.token)
    assert 400 <= answer.status < 500
    assert answer.content_type == "application/problem+json"
    assert word in json.dumps(answer.body)
