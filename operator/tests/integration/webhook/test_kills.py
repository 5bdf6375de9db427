"""Everything is killed, again and again, under a fleet of phones; presence stays true.

`PRESENCE_CLIENTS=2000 PRESENCE_SECONDS=300` is the long form.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from joserfc.jwk import KeyParameters, RSAKey

from e2e.kit.fleet import Fleet, Truth, turns
from e2e.kit.issuer import AUDIENCE, ISSUER, Issuer
from e2e.kit.judge import Judge, Recorded
from e2e.kit.phone import Address
from tests.contract.broker.node import Node
from tests.integration.webhook.test_audit import FIRST, SECOND, add_brokers, make_node
from tests.integration.webhook.world import (
    READER,
    JwksServer,
    Keys,
    Redis,
    Service,
    backend_claims,
    eventually,
    free_port,
    running_service,
    write_config,
)

CLIENTS = int(os.environ.get("PRESENCE_CLIENTS", "200"))
SECONDS = float(os.environ.get("PRESENCE_SECONDS", "40"))
BOUND_SECONDS = 10.0
_AWAY_SECONDS = 3.0
_EVERY_SECONDS = 10.0


@dataclass
class Platform:
    """Two nodes, each with a replica of the auth service, and one store."""

    folder: Path
    redis: Redis
    cluster: Keys
    config: Path
    nodes: dict[str, Node] = field(default_factory=dict)
    ports: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))
    _services: list[tuple[ExitStack, Service]] = field(default_factory=list)

    def start_service(self, index: int) -> None:
        stack = ExitStack()
        port = str(self.ports[index])
        service = stack.enter_context(
            running_service(self.folder, self.config, LIVECONNECT_PORT=port)
        )
        self._services[index : index + 1] = [(stack, service)]

    def kill_service(self, index: int) -> None:
        stack, service = self._services[index]
        service.process.kill()
        service.process.wait(10)
        stack.close()

    def read(self) -> Mapping[str, Recorded]:
        """Everybody's record, from whichever replica answers."""
        failure: Exception = OSError("nobody answers")
        for _, service in self._services:
            try:
                return self._read_from(service)
            except (OSError, KeyError, json.JSONDecodeError) as error:
                failure = error
        raise OSError(str(failure))

    def _read_from(self, service: Service) -> Mapping[str, Recorded]:
        bearer = f"Bearer {self.cluster.sign(backend_claims(READER))}"
        found: dict[str, Recorded] = {}
        cursor = ""
        while True:
            page = service.request("GET", f"/v1/clients?limit=1000{cursor}", Authorization=bearer)
            if page.status != 200:
                raise OSError(page.status)
            for item in page.json["items"]:
                found[item["clientId"]] = Recorded(item["state"], item["node"])
            if page.json["next"] is None:
                return found
            cursor = f"&cursor={page.json['next']}"

    def close(self) -> None:
        for stack, _ in self._services:
            stack.close()


@pytest.fixture
def signer() -> Issuer:
    parameters: KeyParameters = {"kid": "fleet", "use": "sig", "alg": "RS256"}
    return Issuer(RSAKey.generate_key(2048, parameters=parameters, private=True))


@pytest.fixture
def platform(tmp_path: Path, signer: Issuer) -> Iterator[Platform]:
    cluster, redis = Keys("cluster-1"), Redis(tmp_path)
    key_set = signer.key_set().encode()
    jwks = JwksServer({"/devices": lambda: key_set, "/cluster": cluster.document})
    redis.start()
    with jwks.running():
        config = write_config(tmp_path, jwks, redis, cluster)
        document = json.loads(config.read_text())
        document["providers"][0] |= {"issuer": ISSUER, "audiences": [AUDIENCE]}
        config.write_text(json.dumps(document))
        add_brokers(config, tmp_path / "api-key")
        platform = Platform(tmp_path, redis, cluster, config)
        for index, name in enumerate((FIRST, SECOND)):
            platform.start_service(index)
            _, service = platform._services[index]
            platform.nodes[name] = make_node(name, tmp_path, service)
            platform.nodes[name].start()
        platform.nodes[SECOND].api(f"cluster/join?discovery-node={platform.nodes[FIRST].name}")
        eventually(lambda: all(len(node.members()) == 2 for node in platform.nodes.values()))
        yield platform
        platform.close()
        for node in platform.nodes.values():
            if not node.exited():
                node.stop(kill=True)
    redis.stop()


def disturb(platform: Platform, fleet: Fleet, turn: int) -> str:
    """Kill something and start it again; what it was."""
    pause = threading.Event()
    kinds = ("node 1", "replica 1", "store", "node 2", "replica 2", "emptied store", "fleet")
    kind = kinds[turn % len(kinds)]
    if kind.startswith("node"):
        node = platform.nodes[FIRST if kind.endswith("1") else SECOND]
        node.stop(kill=True)
        pause.wait(_AWAY_SECONDS)
        node.start()
    elif kind.startswith("replica"):
        index = 0 if kind.endswith("1") else 1
        platform.kill_service(index)
        pause.wait(_AWAY_SECONDS)
        platform.start_service(index)
    elif kind == "store":
        platform.redis.stop(signal.SIGKILL)
        pause.wait(_AWAY_SECONDS)
        platform.redis.start()
    elif kind == "emptied store":
        platform.redis.lose_everything(signal.SIGKILL)
    else:
        fleet.shake(0.5)
    return kind


@pytest.mark.timeout(SECONDS + 300)
def test_no_record_stays_wrong_whatever_is_killed(platform: Platform, signer: Issuer) -> None:
    doors = [Address(FIRST, 1883), Address(SECOND, 1883)]

    def node_of(truth: Truth) -> str | None:
        return truth.door.host if truth.door else None

    with Fleet("fleet", CLIENTS, signer, doors) as fleet:
        eventually(lambda: fleet.online() == CLIENTS, within=120)
        with Judge(fleet, platform.read, node_of) as judge:
            judge.healed()
            killed = []
            for turn in turns(SECONDS, _EVERY_SECONDS):
                fleet.shake(0.02)
                killed.append(disturb(platform, fleet, turn))
                judge.healed()
            fleet.everybody(wanted=True)
            eventually(lambda: fleet.online() == CLIENTS, within=60)
            eventually(lambda: judge.wrong_now() == [] or None, within=BOUND_SECONDS + 5)
            judge.healed()
        unknown = [c for c, r in platform.read().items() if r.state == "unknown"]
        print(f"killed: {killed}; worst: {judge.worst}; {judge.looks} looks, {judge.blind} blind")
        assert judge.looks > 10
        assert not unknown
        assert judge.worst is None or judge.worst.seconds <= BOUND_SECONDS, str(judge.worst)
