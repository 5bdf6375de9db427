"""Nodes go out of service without losing a message: rolls, scale-downs, evictions."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import pytest

from e2e.kit.cluster import Cluster, KubectlError, Manifest, condition
from e2e.kit.crowd import Crowd
from e2e.kit.eventually import eventually
from e2e.kit.install import DEPLOYMENT, NAMESPACE
from e2e.kit.issuer import Issuer
from e2e.kit.loadbalancer import door
from e2e.kit.microservice import Microservice
from e2e.kit.phone import Address, Phone
from e2e.kit.portforward import PortForward
from e2e.kit.ready import wait_ready
from e2e.kit.samples import KIND

pytestmark = pytest.mark.e2e
_PHONES = 60
_EACH = 5
#: Who is away while the pool shrinks: 5,000 messages wait for them.
_AWAY = 1000


@contextlib.contextmanager
def _doors(cluster: Cluster, pods: list[str]) -> Iterator[list[Address]]:
    """A way to each of these nodes."""
    with contextlib.ExitStack() as stack:
        forwards = [
            stack.enter_context(PortForward(cluster, "default", f"pod/{pod}", 1883)) for pod in pods
        ]
        yield [forward.address for forward in forwards]


def _brokers(cluster: Cluster, name: str) -> dict[str, Manifest]:
    found = cluster.items("pods", selector=f"liveconnect.io/cluster={name},liveconnect.io/broker")
    return {pod["metadata"]["name"]: pod for pod in found}


def _uids(cluster: Cluster, name: str) -> dict[str, str]:
    return {pod: body["metadata"]["uid"] for pod, body in _brokers(cluster, name).items()}


def test_a_change_rolls_one_node_at_a_time_and_loses_nothing(
    cluster: Cluster, issuer: Issuer, quickstart: Manifest, orders: Microservice
) -> None:
    name = quickstart["metadata"]["name"]
    before = _uids(cluster, name)
    crowd = Crowd(f"roll-{uuid.uuid4().hex[:5]}", _PHONES, issuer)
    with door(cluster, "default", f"{name}-subscriber") as address:
        crowd.connect([address])
        cluster.patch(KIND, name, {"spec": {"broker": {"config": {"topic_max_depth": "12"}}}})
        order: list[str] = []
        away: set[frozenset[str]] = set()

        def rolled() -> bool:
            seen = _brokers(cluster, name)
            unready = {p for p, b in seen.items() if condition(b, "Ready").get("status") != "True"}
            away.add(frozenset(unready | (before.keys() - seen.keys())))
            for pod, body in seen.items():
                if body["metadata"]["uid"] != before.get(pod) and pod not in order:
                    order.append(pod)
            return len(order) == len(before) and not unready

        eventually(rolled, within=240, every=0.5, what=f"all nodes of {name} made anew")
        assert max(len(pods) for pods in away) <= 1, f"more than one node was away: {away}"
        assert [p for p in order if "-subscriber-" in p] == order[2:], order
        wait_ready(cluster, name, within=60)
        crowd.send(orders, _EACH)  # everybody is offline or on a node that has just come back
        crowd.connect([address])
        delivery = crowd.delivery(within=60)
    crowd.leave()
    assert (delivery.accepted, delivery.lost) == (_PHONES * _EACH, 0)
    messages = [e["message"] for e in cluster.items("events") if e["reason"] == "RollingOut"]
    assert any("vernemq.conf: topic_max_depth" in m for m in messages), messages


@pytest.mark.timeout(600, func_only=True)
def test_a_scale_down_loses_no_message_of_an_offline_client(
    cluster: Cluster, issuer: Issuer, quickstart: Manifest, orders: Microservice
) -> None:
    name = quickstart["metadata"]["name"]
    cluster.patch(KIND, name, {"spec": {"subscribers": {"replicas": 3}}})
    wait_ready(cluster, name, within=240)
    crowd = Crowd(f"down-{uuid.uuid4().hex[:5]}", _AWAY, issuer)
    with door(cluster, "default", f"{name}-subscriber") as address:
        crowd.connect([address])
        crowd.leave()
    third = f"{name}-subscriber-2"
    eventually(lambda: _stored(cluster, name, third) > _AWAY / 5, within=30, what="a third there")
    crowd.send(orders, _EACH)
    cluster.patch(KIND, name, {"spec": {"subscribers": {"replicas": 2}}})
    eventually(
        lambda: cluster.get("pvc", f"data-{third}") is None,
        within=120,
        every=1,
        what="the third node left and its volume went",
    )
    wait_ready(cluster, name, within=120)
    with door(cluster, "default", f"{name}-subscriber") as address:
        crowd.connect([address])
        delivery = crowd.delivery(within=60)
        crowd.leave()
    assert (delivery.accepted, delivery.lost) == (_AWAY * _EACH, 0)


def _stored(cluster: Cluster, name: str, node: str) -> int:
    """Sessions of a node, those of clients that are away included."""
    nodes = cluster.existing(KIND, name)["status"]["nodes"]
    return next(int(n["queues"]) for n in nodes if n["name"] == node)


@pytest.mark.timeout(600, func_only=True)
def test_an_operator_that_is_killed_at_every_step_ends_a_leave_all_the_same(
    cluster: Cluster, issuer: Issuer, quickstart: Manifest, orders: Microservice
) -> None:
    name = quickstart["metadata"]["name"]
    leaving = f"{name}-subscriber-2"
    budget = {"maxClients": 20, "per": "5s"}
    cluster.patch(KIND, name, {"spec": {"subscribers": {"replicas": 3, "disruption": budget}}})
    wait_ready(cluster, name, within=240)
    run = uuid.uuid4().hex[:5]
    away, here = Crowd(f"away-{run}", 20, issuer), Crowd(f"here-{run}", _PHONES, issuer)
    with _doors(cluster, [leaving]) as doors:
        away.connect(doors)
        away.leave()
        away.send(orders, _EACH)
        here.connect(doors)
        cluster.patch(KIND, name, {"spec": {"subscribers": {"replicas": 2}}})
        killed: list[Step] = []

        def gone() -> bool:
            step = _step(cluster, name, leaving, here.connected())
            if step not in killed:
                killed.append(step)
                _kill_operators(cluster)
            return not step.volume

        # Each time another process has to wait until the lease of the one before runs out.
        eventually(gone, within=400, every=0.5, what="the third node left and its volume went")
        here.leave()
    rollout = ("rollout", "status", f"deployment/{DEPLOYMENT}", "-n", NAMESPACE, "--timeout=90s")
    cluster.kubectl(*rollout, timeout=100)
    wait_ready(cluster, name, within=120)
    print(*killed, sep="\n")
    assert {step.noted for step in killed} == {True, False}
    assert {step.clients for step in killed} == {"all", "some", "none"}
    assert {step.pods for step in killed} == {2, 3}
    assert {n["members"] for n in cluster.existing(KIND, name)["status"]["nodes"]} == {4}
    with _doors(cluster, [f"{name}-subscriber-{n}" for n in range(2)]) as doors:
        away.connect(doors)
        delivery = away.delivery(within=60)
    away.leave()
    assert (delivery.accepted, delivery.lost) == (20 * _EACH, 0)
    cluster.patch(KIND, name, {"spec": {"subscribers": {"disruption": None}}})


class Step(NamedTuple):
    """How far a leave is, seen from outside."""

    noted: bool
    """Whether it is written down."""
    ready: bool
    """Whether the node takes new clients."""
    clients: str
    pods: int
    volume: bool


def _step(cluster: Cluster, name: str, leaving: str, connected: int) -> Step:
    pool = cluster.existing("statefulset", f"{name}-subscriber")
    notes = pool["metadata"].get("annotations") or {}
    ready = condition(cluster.get("pod", leaving), "Ready").get("status") == "True"
    clients = {_PHONES: "all", 0: "none"}.get(connected, "some")
    volume = cluster.get("pvc", f"data-{leaving}") is not None
    return Step("liveconnect.io/leaving" in notes, ready, clients, pool["spec"]["replicas"], volume)


def _kill_operators(cluster: Cluster) -> None:
    selector = "app.kubernetes.io/name=liveconnect-operator"
    cluster.kubectl(
        "delete", "pods", "-n", NAMESPACE, "-l", selector, "--grace-period=0", "--force",
        "--wait=false",
    )  # fmt: skip


def test_clients_of_a_leaving_node_are_moved_in_batches(
    cluster: Cluster, issuer: Issuer, quickstart: Manifest
) -> None:
    name = quickstart["metadata"]["name"]
    budget = {"maxClients": 5, "per": "1s"}
    cluster.patch(KIND, name, {"spec": {"subscribers": {"replicas": 3, "disruption": budget}}})
    wait_ready(cluster, name, within=240)
    crowd = Crowd(f"paced-{uuid.uuid4().hex[:5]}", _PHONES, issuer)
    with _doors(cluster, [f"{name}-subscriber-2"]) as doors:
        crowd.connect(doors)
        cluster.patch(KIND, name, {"spec": {"subscribers": {"replicas": 2}}})
        left: list[int] = []

        def gone() -> bool:
            drain = cluster.existing(KIND, name)["status"].get("drain")
            if drain:
                assert (drain["node"], drain["purpose"]) == (f"{name}-subscriber-2", "Leave")
                left.append(drain["sessionsLeft"])
            return cluster.get("pvc", f"data-{name}-subscriber-2") is None

        eventually(gone, within=180, every=0.5, what="the third node left")
    wait_ready(cluster, name, within=60)
    crowd.leave()
    steps = [a - b for a, b in pairwise(left)]
    assert len(set(left)) >= 4, f"not in batches: {left}"
    assert max(steps) <= 20, f"more than the budget at once: {left}"
    cluster.patch(KIND, name, {"spec": {"subscribers": {"disruption": None}}})


def test_a_serving_node_is_not_evicted_and_a_deleted_ones_clients_are_offline_at_once(
    cluster: Cluster, issuer: Issuer, quickstart: Manifest, orders: Microservice
) -> None:
    name = quickstart["metadata"]["name"]
    wait_ready(cluster, name, within=120)
    pod = f"{name}-subscriber-0"
    client_id = f"deleted-{uuid.uuid4().hex[:5]}"
    phone = Phone(client_id, issuer.token(client_id, "4711"))
    with _doors(cluster, [pod]) as doors:
        assert phone.connect(doors[0]) == 0
        eventually(lambda: orders.presence(client_id).body["state"] == "online", within=10)
        with pytest.raises(KubectlError, match="disruption budget"):
            _evict(cluster, pod)
        cluster.kubectl("delete", "pod", pod, "--wait=false")
        eventually(
            lambda: orders.presence(client_id).body["state"] == "offline",
            within=10,
            what="the deleted node's client is offline",
        )
    wait_ready(cluster, name, within=120)

    def listed() -> set[int]:
        return {n["members"] for n in cluster.existing(KIND, name)["status"]["nodes"]}

    # The node that is back may not have told its list yet: a pass looks every two seconds.
    eventually(lambda: listed() == {4}, within=30, what="a deletion is no leave")


@pytest.fixture
def machine(cluster: Cluster, quickstart: Manifest) -> Iterator[str]:
    """The Kubernetes node of the last subscriber; it takes pods again in the end."""
    name = quickstart["metadata"]["name"]
    wait_ready(cluster, name, within=120)
    node = cluster.existing("pod", f"{name}-subscriber-1")["spec"]["nodeName"]
    yield node
    cluster.kubectl("uncordon", node)
    cluster.patch(KIND, name, {"spec": {"subscribers": {"disruption": None}}})
    wait_ready(cluster, name, within=240)


def test_a_drained_kubernetes_nodes_clients_are_moved_in_batches(
    cluster: Cluster, issuer: Issuer, quickstart: Manifest, machine: str
) -> None:
    name = quickstart["metadata"]["name"]
    last = f"{name}-subscriber-1"
    budget = {"maxClients": 5, "per": "1s"}
    cluster.patch(KIND, name, {"spec": {"subscribers": {"disruption": budget}}})
    wait_ready(cluster, name, within=60)
    before = _uids(cluster, name)
    left: list[int] = []
    crowd = Crowd(f"upkeep-{uuid.uuid4().hex[:5]}", _PHONES, issuer)
    with _doors(cluster, [last]) as doors:
        crowd.connect(doors)
        # A publisher on the same node goes first, and comes back when there is room for it.
        pods = f"statefulset.kubernetes.io/pod-name in ({name}-publisher-1,{last})"
        cluster.kubectl("cordon", machine)

        def empty() -> bool:
            _tried(cluster, "drain", machine, f"--pod-selector={pods}", "--ignore-daemonsets",
                   "--delete-emptydir-data", "--timeout=1s")  # fmt: skip
            drain = cluster.existing(KIND, name)["status"].get("drain")
            if drain and drain["node"] == last:
                assert drain["purpose"] == "Maintenance"
                left.append(drain["sessionsLeft"])
            return _uids(cluster, name).get(last) != before[last]

        eventually(empty, within=180, every=0.5, what=f"{last} is evicted")
    crowd.leave()
    cluster.kubectl("uncordon", machine)
    wait_ready(cluster, name, within=240)
    assert min(left) <= 5, f"evicted before its clients were elsewhere: {left}"
    assert max(a - b for a, b in pairwise(left)) <= 30, f"more than the budget at once: {left}"
    nodes = cluster.existing(KIND, name)["status"]["nodes"]
    assert {n["members"] for n in nodes} == {4}, "an eviction is no leave"


def test_a_node_that_is_uncordoned_in_time_takes_clients_again(
    cluster: Cluster, issuer: Issuer, quickstart: Manifest, machine: str
) -> None:
    name = quickstart["metadata"]["name"]
    before = _uids(cluster, name)
    cluster.kubectl("cordon", machine)

    def aside() -> str:
        body = cluster.existing(KIND, name)
        drain = body["status"].get("drain") or {}
        pod = cluster.get("pod", drain.get("node", "none"))
        # Both: the object tells what the last pass saw, which may be before the pod stood aside.
        told = pod and {condition(o, "Ready").get("status") for o in (pod, body)} == {"False"}
        return drain["node"] if told else ""

    pod = eventually(aside, within=60, what="a node stands aside")
    cluster.kubectl("uncordon", machine)
    wait_ready(cluster, name, within=60)
    assert _uids(cluster, name) == before, "nothing restarted"
    assert condition(cluster.existing("pod", pod), "Ready")["status"] == "True"
    if "-subscriber-" in pod:
        phone = Phone(f"back-{pod}", issuer.token(f"back-{pod}", "4711"))
        with _doors(cluster, [pod]) as doors:
            assert phone.connect(doors[0]) == 0
        phone.disconnect()
    reasons = {e["reason"] for e in cluster.items("events")}
    assert {"NodeDraining", "NodeReturned"} <= reasons


def _tried(cluster: Cluster, *arguments: str) -> None:
    """What may fail, and is asked for again."""
    with contextlib.suppress(KubectlError):
        cluster.kubectl(*arguments)


def _evict(cluster: Cluster, pod: str) -> None:
    """What `kubectl drain` asks for."""
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": "default"},
    }
    path = f"/api/v1/namespaces/default/pods/{pod}/eviction"
    cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))
