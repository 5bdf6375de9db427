"""Revoked phones are out on every node, and stay out when auth service and store start anew."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from e2e.kit import samples
from e2e.kit.cluster import Cluster, condition
from e2e.kit.eventually import always, eventually
from e2e.kit.issuer import Issuer
from e2e.kit.microservice import AUDIENCE, Microservice
from e2e.kit.phone import Phone, Version
from e2e.kit.portforward import PortForward
from e2e.kit.ready import wait_ready

pytestmark = pytest.mark.e2e

NAME = "revoking"
WARDEN = "warden"
NODES = 3
WITHIN_SECONDS = 5.0
"""What is promised of a revocation."""
_RESTARTED = f"liveconnect.io/cluster={NAME},app.kubernetes.io/component in (auth,presence)"


@dataclass
class Caller:
    """A phone, its way in through one node, and the order that revokes it."""

    phone: Phone
    way: PortForward
    order: dict[str, str]

    def comes(self, way: PortForward | None = None) -> int:
        """Connect with the token that it has always had; the CONNACK code."""
        # kubectl may end a way whose last connection was cut just when this one begins.
        return eventually(
            lambda: (self.phone.connect((way or self.way).address, within=5),),
            within=20,
            what="a connect that is answered",
        )[0]

    def let_in(self) -> bool:
        """Whether its node takes it."""
        return self.comes() == 0

    def kept_out(self, ways: list[PortForward]) -> bool:
        """Whether every node refuses it."""
        refused = self.phone.version.refused
        codes = [self.comes(way) for way in ways]
        assert set(codes) == {refused}, codes
        return True


@dataclass
class Scene:
    """Three subscriber nodes, two auth pods, and a backend that may revoke."""

    cluster: Cluster
    issuer: Issuer
    warden: Microservice
    ways: list[PortForward]
    closing: ExitStack

    def caller(self, node: int, kind: str = "", version: Version = Version.V5) -> Caller:
        """A phone at a node, by a way of its own: kubectl ends a way with all who are on it."""
        run = uuid.uuid4().hex[:6]
        client_id = f"{kind or 'bystander'}-{node}-{run}"
        values = {"subject": f"user-{run}", "tokenId": f"jti-{run}", "clientId": client_id}
        token = self.issuer.token(client_id, run, jti=values["tokenId"])
        phone = Phone(client_id, token, version=version)
        self.closing.callback(phone.disconnect)
        order = {kind: values[kind]} if kind else {}
        return Caller(phone, self.way(node), order)

    def way(self, node: int) -> PortForward:
        """A way to a node, until the end."""
        way = PortForward(self.cluster, NAME, f"pod/{NAME}-subscriber-{node}", 1883)
        return self.closing.enter_context(way)

    def restart(self) -> None:
        """Delete all pods of the auth service and its store, and wait for as many others."""
        before = self._pods()
        for pod in before.values():
            self.cluster.delete("pod", pod, NAME)

        def others() -> bool:
            now = self._pods(ready=True)
            return len(now) == len(before) and not now.keys() & before.keys()

        eventually(others, within=90, every=1, what="other pods of auth service and store, ready")
        wait_ready(self.cluster, NAME, NAME, within=90)

    def _pods(self, *, ready: bool = False) -> dict[str, str]:
        pods = self.cluster.items("pods", NAME, _RESTARTED)
        return {
            pod["metadata"]["uid"]: pod["metadata"]["name"]
            for pod in pods
            if not ready or condition(pod, "Ready").get("status") == "True"
        }


@pytest.fixture(scope="module")
def revoking(cluster: Cluster, issuer: Issuer) -> Iterator[Scene]:
    """A cluster of its own, ready."""
    cluster.ensure_namespace(NAME)
    body = samples.tiny(NAME, NAME, subscribers={"replicas": NODES})
    account = {"namespace": NAME, "name": WARDEN}
    body["spec"]["auth"] |= {"replicas": 2, "revokers": [{"serviceAccount": account}]}
    accounts = [samples.service_account(NAME, name) for name in (WARDEN, "curious")]
    cluster.apply(*accounts, samples.key_set(NAME, NAME, issuer), body, namespace=NAME)
    wait_ready(cluster, NAME, NAME, within=300)
    with ExitStack() as closing:
        warden = Microservice(cluster, NAME, NAME, (NAME, WARDEN))
        closing.callback(warden.close)
        scene = Scene(cluster, issuer, warden, [], closing)
        scene.ways += [scene.way(node) for node in range(NODES)]
        yield scene
    cluster.delete(samples.KIND, NAME, NAME)
    cluster.delete("namespace", NAME)


def test_nobody_revokes_who_is_not_named(cluster: Cluster, issuer: Issuer, revoking: Scene) -> None:
    caller = revoking.caller(0, "clientId")
    assert caller.comes() == 0
    tokens = {
        None: 401,
        "no-token": 401,
        cluster.token(NAME, WARDEN, "somebody-else"): 401,
        cluster.token(NAME, "curious", AUDIENCE): 403,
        issuer.token(caller.phone.client_id, "4711"): 403,
    }
    for token, status in tokens.items():
        answer = revoking.warden.revoke(caller.order, token)
        assert (answer.status, answer.content_type) == (status, "application/problem+json")
    always(caller.phone.connected, during=WITHIN_SECONDS, what="the phone's connection")
    assert caller.comes() == 0


@pytest.mark.parametrize("version", list(Version), ids=lambda v: f"mqtt-{v.value}")
def test_revoked_phones_are_out_and_stay_out_over_a_restart(
    revoking: Scene, version: Version
) -> None:
    kinds = ("subject", "tokenId", "clientId")
    callers = [revoking.caller(node, kind, version) for node, kind in enumerate(kinds)]
    bystanders = [revoking.caller(node, version=version) for node in range(NODES)]
    for one in (*callers, *bystanders):
        assert one.comes() == 0
    for caller in callers:
        check_revoked(revoking, caller)
    # A phone of the kit never connects by itself: who is connected never was away.
    assert all(one.phone.connected() for one in bystanders)

    revoking.restart()
    for node in range(NODES):
        # Brokers refuse everybody while no auth pod answers: that would prove nothing.
        newcomer = revoking.caller(node, version=version)
        eventually(newcomer.let_in, within=30, what="a good token's way in")
    for caller in callers:
        caller.kept_out(revoking.ways)
    for one in bystanders:
        customer = one.phone.client_id.rpartition("-")[2]
        assert one.phone.subscribe(f"orders/{customer}/+/status", 1) == 1
        assert one.phone.connected()


def check_revoked(scene: Scene, caller: Caller) -> None:
    """Revoke a phone: its connection ends in time, and no node takes it again."""
    assert caller.phone.connected()
    # A way to an auth pod that has ended ends with its first use; to revoke twice is no harm.
    answer = eventually(lambda: scene.warden.revoke(caller.order, scene.warden.token), within=15)
    assert answer.status == 201, answer
    ended = "the end of the revoked connection"
    eventually(lambda: not caller.phone.connected(), within=WITHIN_SECONDS, every=0.05, what=ended)
    # A replica that was not asked reads of it within a second.
    eventually(
        lambda: caller.kept_out(scene.ways), within=WITHIN_SECONDS, what="refused everywhere"
    )
    assert caller.kept_out(scene.ways)
