"""`drain-1000-clients`: a scale-down with 1,000 offline clients and 5,000 messages for them.

Ours is the time from the request to shrink the pool until the node has left and its volume is
gone. The peer is the bare `cluster leave --kill_sessions` of the same node with as many sessions
and messages, the operator paused, until it is in no member list any more: what the broker alone
needs. In both cases every client comes back to the other nodes and counts its messages.
"""

from __future__ import annotations

import time
import uuid
from contextlib import ExitStack

from e2e import bringup
from e2e.bench.row import Measurement, Row
from e2e.kit import management, samples
from e2e.kit.cluster import Cluster
from e2e.kit.crowd import Crowd
from e2e.kit.eventually import eventually
from e2e.kit.issuer import Issuer
from e2e.kit.microservice import Microservice
from e2e.kit.portforward import PortForward
from e2e.kit.ready import wait_ready

_CLIENTS = 1000
_EACH = 5
_NAME = "quickstart"
_LAST = f"{_NAME}-subscriber-2"
_PAUSED = "liveconnect.io/paused"


def _connect(cluster: Cluster, crowd: Crowd, nodes: int) -> None:
    with ExitStack() as stack:
        forwards = [
            stack.enter_context(
                PortForward(cluster, "default", f"pod/{_NAME}-subscriber-{n}", 1883)
            )
            for n in range(nodes)
        ]
        crowd.connect([forward.address for forward in forwards])


def _pause(cluster: Cluster, value: str | None) -> None:
    cluster.patch(samples.KIND, _NAME, {"metadata": {"annotations": {_PAUSED: value}}})


def _prepared(cluster: Cluster, issuer: Issuer, service: Microservice) -> Crowd:
    """Three nodes, and a crowd that has gone, with messages waiting for it."""
    cluster.patch(samples.KIND, _NAME, {"spec": {"subscribers": {"replicas": 3}}})
    wait_ready(cluster, _NAME, within=300)
    crowd = Crowd(f"drain-{uuid.uuid4().hex[:5]}", _CLIENTS, issuer)
    _connect(cluster, crowd, 3)
    crowd.leave()
    crowd.send(service, _EACH)
    return crowd


def _lost(cluster: Cluster, crowd: Crowd) -> int:
    _connect(cluster, crowd, 2)
    lost = crowd.delivery(within=120).lost
    crowd.leave()
    return lost


def _bare(cluster: Cluster, crowd: Crowd) -> tuple[float, int]:
    key = management.api_key(cluster, _NAME)
    first = f"{_NAME}-subscriber-0"
    listed = management.ask(cluster, first, "cluster/show", key)["table"]
    node = next(row["Node"] for row in listed if f"@{_LAST}." in row["Node"])
    _pause(cluster, "true")
    begun = time.monotonic()
    for flags in ("", "&--kill_sessions&--summary-interval=1&--timeout=60"):
        management.ask(cluster, first, f"cluster/leave?node={node}{flags}", key, timeout=90)
    eventually(
        lambda: _LAST not in management.members(cluster, first, key),
        within=120,
        every=0.2,
        what="the node is in no list",
    )
    seconds = time.monotonic() - begun
    lost = _lost(cluster, crowd)
    _pause(cluster, None)  # the operator empties its disk and takes it in again
    wait_ready(cluster, _NAME, within=300)
    return seconds, lost


def _ours(cluster: Cluster, crowd: Crowd) -> tuple[float, int]:
    begun = time.monotonic()
    cluster.patch(samples.KIND, _NAME, {"spec": {"subscribers": {"replicas": 2}}})
    eventually(
        lambda: cluster.get("pvc", f"data-{_LAST}") is None,
        within=300,
        every=0.2,
        what="the node left and its volume went",
    )
    return time.monotonic() - begun, _lost(cluster, crowd)


def _measure() -> Measurement:
    issuer = bringup.issuer()
    with bringup.for_tests() as cluster:
        cluster.refuse_unless_ours()
        samples.apply_quickstart(cluster, issuer)
        service = Microservice(cluster, "default", _NAME, samples.ORDERS_SERVICE)
        try:
            peer, peer_lost = _bare(cluster, _prepared(cluster, issuer, service))
            ours, lost = _ours(cluster, _prepared(cluster, issuer, service))
        finally:
            service.close()
    total = _CLIENTS * _EACH
    return Measurement(ours, peer, f"messages lost: {lost} of {total}; bare leave: {peer_lost}")


ROW = Row(
    id="drain-1000-clients",
    what=f"scale-down 3 to 2 with {_CLIENTS:,} offline clients, {_CLIENTS * _EACH:,} messages",
    unit="s",
    peer="bare cluster leave",
    goal=5.0,
    measure=_measure,
    less_is_better=True,
)
