"""What the brokers are told to ask, and with what."""

from __future__ import annotations

from typing import Any

import pytest

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Pool
from liveconnect.controller.rendering.configuration import broker_config, hooks

NAMES = Names("demo", "shop", "cluster.local")
BODY: dict[str, Any] = {
    "apiVersion": "liveconnect.io/v1alpha1",
    "kind": "LiveConnectCluster",
    "metadata": {"name": "demo", "namespace": "shop", "uid": "u"},
    "spec": {
        "broker": {"image": "b:1"},
        "auth": {
            "tokens": [
                {
                    "jwt": {
                        "issuer": "https://issuer.example",
                        "audiences": ["a"],
                        "jwksURI": "https://i.example/j",
                    }
                }
            ]
        },
    },
}
PUBLISHES = {"auth_on_publish", "auth_on_publish_m5"}


def without_payload(pool: Pool) -> set[str]:
    return {hook.hook for hook in hooks(Cluster.parse(BODY), NAMES, pool) if hook.no_payload}


def test_rules_for_devices_need_the_payload_those_for_backends_do_not() -> None:
    assert without_payload(Pool.SUBSCRIBER) == set()
    assert without_payload(Pool.PUBLISHER) == PUBLISHES


@pytest.mark.parametrize(("pool", "lines"), [(Pool.SUBSCRIBER, 0), (Pool.PUBLISHER, 2)])
def test_only_where_it_is_left_out_is_it_said(pool: Pool, lines: int) -> None:
    text = broker_config(Cluster.parse(BODY), NAMES, pool)
    assert text.count(".no_payload = on") == lines
    assert text.count("no_payload") == lines
