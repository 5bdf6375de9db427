"""Several operators: replicas of one installation, and installations side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from e2e.providers.control_plane import ControlPlaneProvider
from tests.integration.controller.conftest import Eventually, Kube, Operator
from tests.integration.controller.test_reconcile import cluster
from tests.integration.planes import serving

pytestmark = pytest.mark.integration

Start = Callable[..., Operator]
_LEASE = "operators"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlaneProvider]:
    """A control plane in which no other operator acts."""
    folder = tmp_path_factory.mktemp("several") / "plane"
    with serving(ControlPlaneProvider("several", folder)) as provider:
        yield provider


@pytest.fixture
def start(plane: ControlPlaneProvider, tmp_path: Path) -> Iterator[Start]:
    """Start operators by name, with settings of their own."""
    started: list[Operator] = []

    def starter(name: str, **settings: str) -> Operator:
        operator = Operator(plane, tmp_path / f"{name}.log", **settings)
        operator.start()
        started.append(operator)
        return operator

    yield starter
    for operator in started:
        operator.kill()
        print(f"--- {operator.log.name}\n{operator.log.read_text()[-3000:]}")


@pytest.fixture
def shop(plane: ControlPlaneProvider, eventually: Eventually) -> Iterator[Kube]:
    """A namespace for cluster objects."""
    with namespace(plane, "shop", eventually) as kube:
        yield kube


@contextmanager
def namespace(plane: ControlPlaneProvider, name: str, eventually: Eventually) -> Iterator[Kube]:
    """One that is gone afterwards: the next test's operators would act in it."""
    plane.kubectl("create", "namespace", name)
    kube = Kube(plane, name)
    eventually(lambda: kube("get", "lcc") is not None)  # the CRD is served
    yield kube
    plane.kubectl("delete", "namespace", name, "--timeout=60s")


def holder(kube: Kube) -> str:
    return kube("get", "lease", _LEASE, "-o", "jsonpath={.spec.holderIdentity}")


def applies(operator: Operator) -> int:
    """How much it has written."""
    return operator.log.read_text().count('"apply ')


def test_one_acts_and_another_takes_over_within_twenty_seconds(
    shop: Kube, start: Start, eventually: Eventually
) -> None:
    settings = {"lease_namespace": "shop", "lease_name": _LEASE}
    first = start("first", **settings)
    leader = eventually(lambda: holder(shop))
    second = start("second", **settings)
    shop.apply(cluster())
    uid = eventually(lambda: shop.get("configmap", "demo-auth")["metadata"]["uid"])
    eventually(lambda: "takes part" in second.log.read_text())
    assert applies(second) == 0
    first.kill()
    killed = time.monotonic()
    shop("delete", "configmap", "demo-auth")
    eventually(lambda: shop.get("configmap", "demo-auth")["metadata"]["uid"] != uid, within=20)
    print(f"fail-over: {time.monotonic() - killed:.1f} s")
    assert holder(shop) not in {leader, ""}
    assert applies(second) > 0
    # It says what it does, too: the loops of objects that it knew before it led are no others.
    shop.apply(cluster(publishers={"replicas": 3}))
    eventually(lambda: "ScaledUp" in shop("get", "events", "-o", "jsonpath={..reason}"))
    assert "unexpected error" not in second.log.read_text()


def test_a_leader_that_ends_gives_the_lease_back(
    shop: Kube, start: Start, eventually: Eventually
) -> None:
    settings = {"lease_namespace": "shop", "lease_name": _LEASE}
    first = start("first", **settings)
    leader = eventually(lambda: holder(shop))
    start("second", **settings)
    first.terminate()
    # The second one may still be starting; it never has to wait for the lease to run out.
    eventually(lambda: holder(shop) not in {leader, ""}, within=10)


def test_operators_of_different_labels_leave_each_others_objects_alone(
    shop: Kube, start: Start, eventually: Eventually
) -> None:
    ring = '{"key": "ring", "operator": %s, "values": ["canary"]}'
    canary = start("canary", selector='{"matchExpressions": [%s]}' % (ring % '"In"'))
    stable = start("stable", selector='{"matchExpressions": [%s]}' % (ring % '"NotIn"'))
    early = cluster("early")
    early["metadata"]["labels"] = {"ring": "canary"}
    shop.apply(early)
    shop.apply(cluster("late"))
    eventually(lambda: {*apps(shop)} == {"early-auth", "late-auth"})
    for operator, other in ((canary, "late"), (stable, "early")):
        assert f"/{other}-" not in operator.log.read_text()
    # One that is relabelled is handed over as it is.
    uid = shop.get("deployment", "late-auth")["metadata"]["uid"]
    shop("label", "lcc", "late", "ring=canary")
    shop("delete", "configmap", "late-gateway")
    eventually(lambda: shop.get("configmap", "late-gateway"))
    eventually(lambda: "/late-gateway" in canary.log.read_text())
    assert shop.get("deployment", "late-auth")["metadata"]["uid"] == uid


def test_operators_of_different_namespaces_leave_each_others_objects_alone(
    plane: ControlPlaneProvider, shop: Kube, start: Start, eventually: Eventually
) -> None:
    with namespace(plane, "chat", eventually) as chat:
        for name in ("shop", "chat"):
            start(name, namespaces=name)
        for kube in (shop, chat):
            kube.apply(cluster(f"of-{kube.namespace}"))
            eventually(partial(made, kube), within=90)
        # With its own operator away, nobody repairs what the other one could see.
        assert {*apps(shop)} == {"of-shop-auth"}
        assert {*apps(chat)} == {"of-chat-auth"}


def test_at_rest_no_request_writes(shop: Kube, start: Start, eventually: Eventually) -> None:
    """Not even one that would change nothing."""
    operator = start("only")
    shop.apply(cluster())
    eventually(lambda: shop.names("deployments"), within=90)
    pokes = iter(range(1000))

    def passes(more: int) -> bool:
        enough = operator.metric("liveconnect_controller_passes_total") + more
        for _ in range(more):
            shop("annotate", "lcc", "demo", f"test/poke={next(pokes)}", "--overwrite")
        eventually(lambda: operator.metric("liveconnect_controller_passes_total") >= enough, 30)
        return True

    def is_quiet() -> bool:
        before = operator.metric("liveconnect_controller_writes_total")
        return passes(3) and operator.metric("liveconnect_controller_writes_total") == before

    eventually(is_quiet, within=90)
    assert is_quiet()


def made(kube: Kube) -> bool:
    return len([*apps(kube)]) == 1


def apps(kube: Kube) -> Iterator[str]:
    names = kube.names("deployments")
    return (name.rpartition("/")[2] for name in names)
