"""The auth service knows the brokers' bounds."""

from __future__ import annotations

import pytest

from liveconnect.api.operands import LARGEST_MESSAGE_BYTES
from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.names import Names
from liveconnect.controller.rendering.configuration import auth_config

DEFAULT = LARGEST_MESSAGE_BYTES


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, DEFAULT),
        ({"max_message_size": "2000000"}, 2_000_000),
        ({"max_message_size": "0"}, 0),
        ({"max_message_size": "lots"}, DEFAULT),
    ],
)
def test_the_largest_message(config: dict[str, str], expected: int) -> None:
    jwt = {"issuer": "https://issuer.example", "audiences": ["a"], "jwksURI": "https://i.example/j"}
    body = {
        "apiVersion": "liveconnect.io/v1alpha1",
        "kind": "LiveConnectCluster",
        "metadata": {"name": "demo", "namespace": "shop", "uid": "u"},
        "spec": {
            "broker": {"image": "b:1", "config": config},
            "auth": {"tokens": [{"jwt": jwt}]},
        },
    }
    made = auth_config(Cluster.parse(body), Names("demo", "shop", "cluster.local"), [])
    assert made.max_message_bytes == expected
