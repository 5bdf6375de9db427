"""The gateway keeps the brokers' bounds."""

from __future__ import annotations

import pytest

from liveconnect.api.operands import GatewayConfig
from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.names import Names
from liveconnect.controller.rendering.configuration import gateway_config

DEFAULT = GatewayConfig(cluster="", broker_host="", callers=[])


def bounds(config: dict[str, str]) -> tuple[int, int]:
    jwt = {"issuer": "https://issuer.example", "audiences": ["a"], "jwksURI": "https://i.example/j"}
    spec = {"broker": {"image": "b:1", "config": config}, "auth": {"tokens": [{"jwt": jwt}]}}
    body = {
        "apiVersion": "liveconnect.io/v1alpha1",
        "kind": "LiveConnectCluster",
        "metadata": {"name": "demo", "namespace": "shop", "uid": "u"},
        "spec": spec,
    }
    made = gateway_config(Cluster.parse(body), Names("demo", "shop", "cluster.local"))
    return made["max_payload_bytes"], made["max_topic_levels"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, (DEFAULT.max_payload_bytes, DEFAULT.max_topic_levels)),
        ({"max_message_size": "65536"}, (65536, 10)),
        ({"topic_max_depth": "12"}, (DEFAULT.max_payload_bytes, 12)),
        ({"max_message_size": "0"}, (DEFAULT.max_payload_bytes, 10)),
        ({"max_message_size": "lots"}, (DEFAULT.max_payload_bytes, 10)),
    ],
)
def test_bounds_of_the_brokers(config: dict[str, str], expected: tuple[int, int]) -> None:
    assert bounds(config) == expected
