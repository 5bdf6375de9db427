"""The gateway keeps the brokers' bounds."""

from __future__ import annotations

from typing import Any

import pytest

from liveconnect.api.operands import MOST_MESSAGE_BYTES, GatewayConfig, Replies
from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.names import Names
from liveconnect.controller.rendering.configuration import (
    DEFAULT_OPTIONS,
    auth_config,
    gateway_config,
)

DEFAULT = GatewayConfig(cluster="", broker_host="", callers=[])


def cluster(gateway: dict[str, Any]) -> Cluster:
    jwt = {"issuer": "https://issuer.example", "audiences": ["a"], "jwksURI": "https://i.example/j"}
    body = {
        "apiVersion": "liveconnect.io/v1alpha1",
        "kind": "LiveConnectCluster",
        "metadata": {"name": "demo", "namespace": "shop", "uid": "u"},
        "spec": {
            "broker": {"image": "b:1"},
            "auth": {"tokens": [{"jwt": jwt}]},
            "gateway": gateway,
        },
    }
    return Cluster.parse(body)


def test_requests_are_off_until_they_are_wanted() -> None:
    names = Names("demo", "shop", "cluster.local")
    assert gateway_config(cluster({}), names, 2)["requests"] is None
    assert auth_config(cluster({}), names, []).replies is None


def test_gateway_and_auth_service_know_the_same_answers() -> None:
    on = cluster({"requests": {"replyTopic": "r/{clientId}", "maxReplyBytes": 7}})
    names = Names("demo", "shop", "cluster.local")
    made = gateway_config(on, names, 2)["requests"]
    assert (made["topic"], made["reply_topic"]) == ("clients/{clientId}/requests", "r/{clientId}")
    replies = auth_config(on, names, []).replies
    assert replies == Replies(
        topic="r/{clientId}", max_bytes=7, gateway=names.subject(names.gateway)
    )


def bounds(config: dict[str, str]) -> tuple[int, int]:
    jwt = {"issuer": "https://issuer.example", "audiences": ["a"], "jwksURI": "https://i.example/j"}
    spec = {"broker": {"image": "b:1", "config": config}, "auth": {"tokens": [{"jwt": jwt}]}}
    body = {
        "apiVersion": "liveconnect.io/v1alpha1",
        "kind": "LiveConnectCluster",
        "metadata": {"name": "demo", "namespace": "shop", "uid": "u"},
        "spec": spec,
    }
    made = gateway_config(Cluster.parse(body), Names("demo", "shop", "cluster.local"), 2)
    return made["max_message_bytes"], made["max_topic_levels"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, (DEFAULT.max_message_bytes, DEFAULT.max_topic_levels)),
        ({"max_message_size": "65536"}, (65536, 10)),
        ({"topic_max_depth": "12"}, (DEFAULT.max_message_bytes, 12)),
        ({"max_message_size": "0"}, (DEFAULT.max_message_bytes, 10)),
        ({"max_message_size": "268435455"}, (MOST_MESSAGE_BYTES, 10)),
        ({"max_message_size": "lots"}, (DEFAULT.max_message_bytes, 10)),
    ],
)
def test_bounds_of_the_brokers(config: dict[str, str], expected: tuple[int, int]) -> None:
    assert bounds(config) == expected


def test_a_node_takes_what_the_gateway_accepts_and_what_it_reads_with_it() -> None:
    """VerneMQ 2.1.2 reads nothing more when more than `max_message_size` has come in together."""
    read_at_once = 4 * 1024 * 1024
    taken = int(DEFAULT_OPTIONS["max_message_size"])
    assert bounds({})[0] + read_at_once <= taken
