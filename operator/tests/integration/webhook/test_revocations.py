"""Revocations end live sessions and keep their clients out.

Real process, real store, real MQTT clients, on the stand-in for VerneMQ.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from e2e.kit.phone import Address, Phone, Version
from tests.contract.broker.node import KEY, Node
from tests.integration.webhook.world import (
    READER,
    Answer,
    JwksServer,
    Keys,
    Redis,
    Service,
    World,
    eventually,
    free_port,
    running_service,
    write_config,
)

REVOKER = "system:serviceaccount:shop:fraud"
ADDRESSES = itertools.count(1)
"""Each broker has its own, so that nothing waits for a port."""
NOT_ALLOWED = {"result": {"error": "not_allowed"}}
WITHIN = 5.0
"""Seconds in which a live session must end."""


@dataclass
class Stage:
    """Two brokers, an auth service, phones."""

    world: World
    config: Path
    port: int
    nodes: tuple[Node, ...]
    running: contextlib.ExitStack
    phones: list[Phone] = field(default_factory=list)

    @property
    def service(self) -> Service:
        return self.world.service

    def phone(
        self, client_id: str, token: str, node: int = 0, version: Version = Version.V5
    ) -> Phone:
        """A phone that is connected."""
        phone = Phone(client_id, token, version=version)
        self.phones.append(phone)
        assert phone.connect(Address(self.nodes[node].address, 1883)) == 0
        return phone

    def refused(self, client_id: str, token: str) -> bool:
        """Whether a phone cannot come in."""
        phone = Phone(client_id, token)
        self.phones.append(phone)
        return phone.connect(Address(self.nodes[0].address, 1883)) == Version.V5.refused

    def ask(self, method: str, path: str = "", body: Any = None, by: str = REVOKER) -> Answer:
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        return self.service.request(
            method,
            f"/v1/revocations{path}",
            content,
            Authorization=f"Bearer {self.world.backend(by)}",
        )

    def revoke(self, **order: Any) -> dict[str, Any]:
        answer = self.ask("POST", body=order)
        assert answer.status == 201, answer
        assert answer.headers["Location"] == f"/v1/revocations/{answer.json['id']}"
        revocation: dict[str, Any] = answer.json
        return revocation

    def restart(self) -> None:
        """Another process takes the service's place."""
        self.running.close()
        started = running_service(self.world.folder, self.config, LIVECONNECT_PORT=str(self.port))
        self.world.service = self.running.enter_context(started)


def make_stage(folder: Path, net: str = "127.0.79.") -> Iterator[Stage]:
    issuer, cluster, redis = Keys("device-1"), Keys("cluster-1"), Redis(folder)
    jwks = JwksServer({"/devices": issuer.document, "/cluster": cluster.document})
    (folder / "api-key").write_text(KEY)
    addresses = [f"{net}{next(ADDRESSES)}" for _ in range(2)]
    port = free_port()
    redis.start()
    with contextlib.ExitStack() as stack:
        stack.callback(redis.stop)
        stack.enter_context(jwks.running())
        config = write_config(
            folder, jwks, redis, cluster,
            revokers=[REVOKER],
            brokers={
                "hosts": addresses,
                "node_suffix": "",
                "pod_prefix": net,
                "api_key_file": str(folder / "api-key"),
            },
        )  # fmt: skip
        nodes = tuple(
            make_node(address, folder, f"http://127.0.0.1:{port}") for address in addresses
        )
        for node in nodes:  # they start while the service does
            node.begin()
            stack.callback(node.stop)
        running = stack.enter_context(contextlib.ExitStack())
        service = running.enter_context(running_service(folder, config, LIVECONNECT_PORT=str(port)))
        for node in nodes:
            node.wait()
        world = World(folder, issuer, cluster, jwks, redis, service)
        stage = Stage(world, config, port, nodes, running)
        yield stage
        for phone in stage.phones:
            phone.disconnect()


def make_node(address: str, folder: Path, url: str) -> Node:
    def endpoint(hook: str) -> str:
        purpose = "auth" if hook.startswith("auth_") else "presence"
        return f"{url}/hooks/{purpose}/subscriber/{address}"

    return Node(address, folder / address, url, endpoint=endpoint)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """For tests that break nothing."""
    yield from make_stage(tmp_path_factory.mktemp("revocations"))


@pytest.fixture
def own_stage(tmp_path: Path) -> Iterator[Stage]:
    """For a test that breaks something."""
    yield from make_stage(tmp_path)


def ends(phone: Phone, within: float = WITHIN) -> None:
    eventually(lambda: not phone.connected(), within=within)


@pytest.mark.parametrize("version", list(Version), ids=lambda version: f"mqtt-{version.value}")
def test_a_client_is_disconnected_and_kept_out(stage: Stage, version: Version) -> None:
    name = f"client-{version.name}"
    token = stage.world.device(name, sub=f"s-{name}")
    other = stage.phone(f"{name}-other", stage.world.device(f"{name}-other"))
    phone = stage.phone(name, token, version=version)
    stage.revoke(clientId=name, reason="stolen")
    ends(phone)
    assert stage.refused(name, token)
    assert stage.refused(name, stage.world.device(name)), "issued before"
    assert other.connected()


def test_who_cannot_be_named_to_the_brokers_hears_and_says_nothing_more(stage: Stage) -> None:
    """`session/disconnect` reads Latin-1: of others only the subscriptions can be ended."""
    name = "手机"
    phone = stage.phone(name, stage.world.device(name, sub="s-unnamed"))
    assert phone.subscribe(f"devices/{name}/#", 1) < 0x80

    def held() -> list[str]:
        rows = stage.nodes[0].api("session/show?--client_id&--topic&--limit=1000")["table"]
        return [row["topic"] for row in rows if row["client_id"] == name]

    assert held()
    stage.revoke(subject="s-unnamed")
    eventually(lambda: not held(), within=5)


def test_who_logs_in_again_gets_in(stage: Stage) -> None:
    stage.revoke(subject="again")
    old = stage.world.device("phone-again", sub="again")
    eventually(lambda: stage.refused("phone-again", old))
    new = stage.world.device("phone-again", sub="again", iat=int(time.time()) + 60)
    assert stage.phone("phone-again", new).connected()


def test_all_sessions_of_a_subject_end_on_every_node(stage: Stage) -> None:
    tokens = {name: stage.world.device(name, sub="thief") for name in ("tablet", "phone")}
    phones = [stage.phone(name, token, n) for n, (name, token) in enumerate(tokens.items())]
    honest = stage.phone("honest", stage.world.device("honest", sub="thief2"))
    stage.revoke(subject="thief")
    for phone in phones:
        ends(phone)
    assert honest.connected()
    assert all(stage.refused(name, token) for name, token in tokens.items())


def test_one_token_ends_and_not_the_subjects_others(stage: Stage) -> None:
    lost = stage.phone("lost", stage.world.device("lost", sub="joint", jti="t-lost"))
    kept = stage.phone("kept", stage.world.device("kept", sub="joint", jti="t-kept"))
    stage.revoke(tokenId="t-lost")
    ends(lost)
    assert kept.connected()
    assert stage.refused("lost", stage.world.device("lost", sub="joint", jti="t-lost"))
    assert not stage.refused("lost", stage.world.device("lost", sub="joint", jti="t-new"))


def test_only_tokens_of_the_issuer_that_is_named(stage: Stage) -> None:
    token = stage.world.device("elsewhere", sub="elsewhere")
    phone = stage.phone("elsewhere", token)
    stage.revoke(subject="elsewhere", issuer="https://other.example")
    revocation = stage.revoke(subject="elsewhere-2", issuer="https://login.example")
    assert revocation["issuer"] == "https://login.example"
    second = stage.world.device("elsewhere-2", sub="elsewhere-2")
    eventually(lambda: stage.refused("elsewhere-2", second))
    assert phone.connected()


def test_what_a_live_session_does_is_refused_at_once(stage: Stage) -> None:
    token = stage.world.device("quick", sub="quick")
    body = {
        "client_id": "quick", "mountpoint": "", "username": token, "qos": 0,
        "topic": "devices/quick/x", "retain": False, "payload": "",
    }  # fmt: skip
    assert stage.service.hook("auth_on_publish", body).json == {"result": "ok"}
    stage.revoke(subject="quick")
    eventually(lambda: stage.service.hook("auth_on_publish", body).json == NOT_ALLOWED, within=2)


@pytest.mark.parametrize("client_id", ['a" OR "1', "back\\slash"])
def test_a_client_whose_session_nobody_could_end_is_not_let_in(
    stage: Stage, client_id: str
) -> None:
    token = stage.world.device(client_id)
    assert stage.service.connect(token, client_id) == NOT_ALLOWED


def test_a_revocation_can_be_withdrawn(stage: Stage) -> None:
    token = stage.world.device("mistake", sub="mistake")
    revocation = stage.revoke(subject="mistake", reason="wrong person")
    eventually(lambda: stage.refused("mistake", token))
    one = stage.ask("GET", f"/{revocation['id']}")
    assert (one.status, one.json) == (200, revocation)
    assert one.json["by"] == REVOKER
    listed = stage.ask("GET").json
    assert revocation in listed["revocations"]
    assert listed["total"] >= 1
    assert stage.ask("DELETE", f"/{revocation['id']}").status == 204
    eventually(lambda: not stage.refused("mistake", token))
    assert stage.ask("GET", f"/{revocation['id']}").status == 404


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"[]", "object"),
        ({}, "exactly one of subject"),
        ({"subject": "a", "clientId": "b"}, "exactly one of subject"),
        ({"subject": ""}, "subject"),
        ({"subject": 1}, "subject"),
        ({"subject": "a" * 1025}, "subject"),
        ({"subject": "a", "expiresInSeconds": 1}, "expiresInSeconds"),
        ({"subject": "a", "expiresInSeconds": 10**10}, "expiresInSeconds"),
        ({"subject": "a", "why": "x"}, "why"),
        ({"tokenId": "a", "reason": "x" * 257}, "reason"),
    ],
)
def test_bad_orders(stage: Stage, body: Any, word: str) -> None:
    answer = stage.ask("POST", body=body)
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert word in answer.json["detail"]


def test_nobody_else_may(stage: Stage) -> None:
    order = {"subject": "nobody"}
    assert stage.ask("POST", body=order, by=READER).status == 403
    assert stage.ask("GET", by=READER).status == 403
    anonymous = stage.service.request("POST", "/v1/revocations", json.dumps(order).encode())
    assert anonymous.status == 401
    device = stage.world.device("phone-x")
    path, body = "/v1/revocations", json.dumps(order).encode()
    answer = stage.service.request("POST", path, body, Authorization=f"Bearer {device}")
    assert answer.status == 403


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "", 405),
        ("POST", "/1-1", 404),
        ("GET", "/1-1", 404),
        ("DELETE", "/x", 404),
        ("GET", "s", 404),
        ("GET", "/1-1/2", 404),
    ],
)
def test_wrong_places(stage: Stage, method: str, path: str, status: int) -> None:
    assert stage.ask(method, path).status == status


def test_the_audit_log_says_who_revoked_what_without_the_token(stage: Stage) -> None:
    token = stage.world.device("audited", sub="audited")
    stage.revoke(subject="audited", reason="left the company")
    stage.revoke(tokenId=token.rpartition(".")[2])
    entries = [entry for entry in stage.service.logs() if entry["message"] == "revoked"]
    (entry,) = (entry for entry in entries if entry["value"] == "audited")
    assert (entry["by"], entry["reason"]) == (REVOKER, "left the company")
    assert token.rpartition(".")[2] not in stage.service.log.read_text()
    eventually(lambda: stage.refused("audited", token))
    refusals = [e for e in stage.service.logs() if e.get("client_id") == "audited"]
    assert refusals[-1]["reason"] == "token-revoked"


def test_revocations_survive_restarts(own_stage: Stage) -> None:
    stage = own_stage
    token = stage.world.device("survivor", sub="survivor")
    assert stage.phone("survivor", token).connected()
    stage.revoke(subject="survivor")
    stage.restart()
    assert stage.refused("survivor", token)
    stage.world.redis.stop()
    stage.world.redis.start()
    stage.restart()
    assert stage.refused("survivor", token)


def test_a_session_that_another_process_let_in_is_found(own_stage: Stage) -> None:
    stage = own_stage
    phone = stage.phone("elder", stage.world.device("elder", sub="elder"))
    stage.restart()
    assert phone.connected()
    stage.revoke(subject="elder")
    ends(phone)


def test_every_replica_refuses(own_stage: Stage) -> None:
    stage = own_stage
    token = stage.world.device("twice", sub="twice")
    with running_service(stage.world.folder, stage.config) as second:
        assert second.connect(token, "twice")["result"] == "ok"
        stage.revoke(subject="twice")
        eventually(lambda: second.connect(token, "twice") == NOT_ALLOWED, within=3)


def test_with_the_store_away_what_is_revoked_stays_so_and_others_get_in(own_stage: Stage) -> None:
    stage = own_stage
    bad, good = (stage.world.device(name, sub=name) for name in ("bad", "good"))
    stage.revoke(subject="bad")
    eventually(lambda: stage.refused("bad", bad))
    stage.world.redis.stop()
    answer = stage.ask("POST", body={"subject": "good"})
    assert answer.status == 503
    assert "Retry-After" in answer.headers
    assert stage.refused("bad", bad)
    assert stage.phone("good", good).connected()
    stage.world.redis.start()
    eventually(lambda: stage.ask("POST", body={"subject": "good"}).status == 201)
    eventually(lambda: stage.refused("good", good))


def test_a_node_that_is_away_keeps_no_other_from_disconnecting(own_stage: Stage) -> None:
    stage = own_stage
    stage.nodes[1].stop(kill=True)
    phone = stage.phone("beside", stage.world.device("beside", sub="beside"))
    stage.revoke(subject="beside")
    ends(phone)
    stage.nodes[1].start()
