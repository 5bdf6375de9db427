"""Presence repaired from outside: two nodes of the stand-in, a real store, the real service."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.contract.broker.node import EVENTS, KEY, Node
from tests.integration.webhook.world import (
    READER,
    JwksServer,
    Keys,
    Redis,
    Service,
    World,
    eventually,
    running_service,
    write_config,
)

FIRST, SECOND = "127.0.79.1", "127.0.79.2"
BOUND_SECONDS = 12.0
"""Ten, and a little for two busy cores."""


@dataclass
class Platform:
    """Brokers and service; the service may be started again."""

    world: World
    nodes: dict[str, Node]
    config: Path
    phones: dict[str, mqtt.Client] = field(default_factory=dict)

    def connect(self, client_id: str, node: str, keep_alive: int = 60) -> None:
        phone = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, reconnect_on_failure=False
        )
        phone.username_pw_set(self.world.device(client_id))
        phone.connect(node, 1883, keep_alive)
        phone.loop_start()
        eventually(phone.is_connected)
        self.phones[client_id] = phone

    def disconnect(self, client_id: str) -> None:
        phone = self.phones.pop(client_id)
        phone.disconnect()
        phone.loop_stop()

    def state(self, client_id: str, service: Service | None = None) -> tuple[str, str] | None:
        answer = (service or self.world.service).client(client_id, self.world.backend(READER))
        return (answer.json["state"], answer.json["node"]) if answer.status == 200 else None

    def becomes(self, wanted: dict[str, tuple[str, str]], service: Service | None = None) -> None:
        eventually(
            lambda: {c: self.state(c, service) for c in wanted} == wanted or None,
            within=BOUND_SECONDS,
        )


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    issuer, cluster, redis = Keys("device-1"), Keys("cluster-1"), Redis(tmp_path)
    jwks = JwksServer({"/devices": issuer.document, "/cluster": cluster.document})
    redis.start()
    with jwks.running():
        config = write_config(tmp_path, jwks, redis, cluster)
        add_brokers(config, tmp_path / "api-key")
        with running_service(tmp_path, config) as service:
            world = World(tmp_path, issuer, cluster, jwks, redis, service)
            nodes = {name: make_node(name, tmp_path, service) for name in (FIRST, SECOND)}
            for node in nodes.values():
                node.start()
            nodes[SECOND].api(f"cluster/join?discovery-node={nodes[FIRST].name}")
            eventually(lambda: all(len(node.members()) == 2 for node in nodes.values()))
            platform = Platform(world, nodes, config)
            yield platform
            for client_id in tuple(platform.phones):
                platform.disconnect(client_id)
            for node in nodes.values():
                if not node.exited():
                    node.stop()
    redis.stop()


def add_brokers(config: Path, key: Path) -> None:
    key.write_text(KEY)
    document: dict[str, Any] = json.loads(config.read_text())
    document["brokers"] = {
        "hosts": [FIRST, SECOND],
        "node_suffix": "",
        "pod_prefix": "127.0.79.",
        "api_key_file": str(key),
    }
    config.write_text(json.dumps(document))


def make_node(address: str, folder: Path, service: Service) -> Node:
    def endpoint(hook: str) -> str:
        purpose = "presence" if hook in EVENTS else "auth"
        return f"{service.url}/hooks/{purpose}/subscriber/{address}"

    return Node(address, folder / address, "", endpoint=endpoint)


def test_a_killed_nodes_clients_are_unknown_until_it_is_back(platform: Platform) -> None:
    for number in range(5):
        platform.connect(f"p{number}", FIRST)
    platform.connect("other", SECOND)
    platform.becomes({"p0": ("online", FIRST), "other": ("online", SECOND)})
    platform.nodes[FIRST].stop(kill=True)
    platform.becomes({f"p{number}": ("unknown", FIRST) for number in range(5)})
    platform.disconnect("p0")
    platform.connect("p0", SECOND)
    platform.becomes({"p0": ("online", SECOND), "p1": ("unknown", FIRST)})
    platform.nodes[FIRST].start()
    platform.becomes(
        {
            "p0": ("online", SECOND),
            "other": ("online", SECOND),
            **{f"p{number}": ("offline", FIRST) for number in range(1, 5)},
        }
    )


def test_a_half_open_connection_is_offline_when_the_broker_finds_out(platform: Platform) -> None:
    """The phone is gone without a packet: to the broker the connection stands, and is silent."""
    platform.connect("vanished", FIRST, keep_alive=2)
    platform.connect("roamed", FIRST, keep_alive=2)
    platform.becomes({"vanished": ("online", FIRST), "roamed": ("online", FIRST)})
    silent = [platform.phones[client_id] for client_id in ("vanished", "roamed")]
    for phone in silent:
        phone.loop_stop()
    platform.connect("roamed", SECOND)
    platform.becomes({"vanished": ("offline", FIRST), "roamed": ("online", SECOND)})
    assert all(phone.socket() is not None for phone in silent), "nobody closed them here"


def test_a_forgotten_nodes_clients_are_offline(platform: Platform) -> None:
    platform.connect("p", SECOND)
    platform.becomes({"p": ("online", SECOND)})
    platform.nodes[SECOND].stop(kill=True)
    eventually(lambda: platform.nodes[FIRST].members().get(platform.nodes[SECOND].name) is False)
    platform.nodes[FIRST].api(f"cluster/leave?node={platform.nodes[SECOND].name}")
    platform.becomes({"p": ("offline", SECOND)})
    platform.nodes[SECOND].start()


def test_hooks_that_nobody_answered_are_made_up_for(platform: Platform) -> None:
    for client_id in ("stays", "leaves"):
        platform.connect(client_id, FIRST)
    platform.becomes({"stays": ("online", FIRST), "leaves": ("online", FIRST)})
    service = platform.world.service.process
    service.kill()
    service.wait(10)
    platform.disconnect("leaves")
    with running_service(platform.world.folder, platform.config) as again:
        platform.becomes({"stays": ("online", FIRST), "leaves": ("offline", FIRST)}, again)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_an_emptied_store_is_filled_from_the_brokers(
    platform: Platform, end: signal.Signals
) -> None:
    platform.connect("a", FIRST)
    platform.connect("b", SECOND)
    platform.becomes({"a": ("online", FIRST), "b": ("online", SECOND)})
    platform.world.redis.lose_everything(end)
    platform.becomes({"a": ("online", FIRST), "b": ("online", SECOND)})


def test_another_replica_goes_on_when_the_one_that_audits_is_killed(platform: Platform) -> None:
    platform.connect("p", SECOND)
    platform.becomes({"p": ("online", SECOND)})
    with running_service(platform.world.folder, platform.config) as other:
        process = platform.world.service.process
        process.kill()
        process.wait(10)
        platform.nodes[SECOND].stop(kill=True)
        eventually(lambda: platform.state("p", other) == ("unknown", SECOND), within=17)
        platform.nodes[SECOND].start()
        platform.becomes({"p": ("offline", SECOND)}, other)
